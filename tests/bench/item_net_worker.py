"""A next-item network as a worker that takes turns; `make bench rectools` runs it and RecTools' SASRec.

python -m tests.bench.item_net_worker FILE EPOCHS THREADS

Shape letters: U users, V items, K places of a list.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from model.baselines.interactions import Interactions
from tests.bench.item_training import CONFIG
from tests.bench.next_item.network import ItemSize, NextItemNet
from tests.bench.next_item.ranker import NetRanker
from tests.bench.next_item.trainer import ItemProgress, train_net
from tests.bench.public_sets.next_item import CELLS_AT_ONCE, DEPTH, ItemRanker, newest
from tests.bench.workers import Ints, Steps, Turns, WorkerInput


def interactions(worker_input: WorkerInput, steps: Steps) -> Interactions:
    """Return steps as interactions; the place in the user's history is the moment."""
    made = Interactions(
        worker_input.users, worker_input.items, steps.user_N, steps.item_N, np.zeros_like(steps.user_N), steps.user_N
    )
    return replace(made, at_N=made.events_before_N())


def best_UK(ranker: ItemRanker, past: Interactions, most: int, depth: int = DEPTH) -> Ints:
    """Return the best unseen items of each user, best first; -1 where there are no more.

    most: newest steps of a user that the ranker may use.
    """
    best: list[Ints] = []
    for some in past.batches(max(1, CELLS_AT_ONCE // past.items)):
        scores_BV = ranker.scores_BV(newest(some, most))
        scores_BV[some.user_N, some.item_N] = -np.inf
        found = torch.topk(torch.from_numpy(scores_BV), depth)
        best.append(found.indices.masked_fill(torch.isneginf(found.values), -1).numpy())
    return np.concatenate(best)


class TurnTakingValidation:
    """Ends a turn after each epoch, as the validation of a training. Scores rise, so the last epoch is kept."""

    def __init__(self, turns: Turns, known: Interactions, most: int) -> None:
        self.turns, self.known, self.most = turns, known, most
        self.turn_files = turns.files()
        self.file = next(self.turn_files)  # training begins with the first turn
        self.now: list[ItemProgress] = []
        self.epochs, self.seconds, self.tokens = 0, 0.0, 0

    def progress(self, now: ItemProgress) -> None:
        self.now[:] = [now]

    def validate(self, net: NextItemNet) -> float:
        now = self.now[0]
        began = time.perf_counter()
        best = best_UK(NetRanker(net), self.known, self.most)
        figures = {
            "epoch_seconds": now.seconds - self.seconds,
            "tokens": now.tokens - self.tokens,
            "scoring_seconds": time.perf_counter() - began,
        }
        self.turns.done(self.file, best, figures)
        self.seconds, self.tokens, self.epochs = now.seconds, now.tokens, self.epochs + 1
        self.file = next(self.turn_files, self.file)  # there is no turn after the last
        return float(self.epochs)


def main() -> None:
    file, epochs, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    turns = Turns()
    torch.set_num_threads(threads)
    worker_input = WorkerInput.load(file)
    config = replace(CONFIG, size=ItemSize(), epochs=epochs, validate_every=1)
    turns.ready({"versions": {"torch": torch.__version__, "numpy": np.__version__}, "settings": config.as_json()})
    in_turns = TurnTakingValidation(turns, interactions(worker_input, worker_input.known), config.newest)
    train_net(interactions(worker_input, worker_input.train), config, in_turns.validate, in_turns.progress)


if __name__ == "__main__":
    main()
