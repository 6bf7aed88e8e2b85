"""One training of a next-item network on MovieLens; `make bench movielens` starts it by torchrun, a rank per core.

python -m tests.bench.item_training --out FILE [--seed N] [--quick]
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.baselines.interactions import Interactions
from model.transformer.distributed import Runtime, is_main_rank
from tests.bench.next_item.model import NextItemModel
from tests.bench.next_item.network import ItemSize, NextItemNet
from tests.bench.next_item.trainer import ItemProgress, ItemTrainingConfig
from tests.bench.public_sets.files import data_folder
from tests.bench.public_sets.movielens import NEWEST, read_movielens
from tests.bench.public_sets.next_item import VALIDATION, leave_one_out
from tests.bench.public_sets.ordered_interactions import of_users

CONFIG = ItemTrainingConfig(ItemSize(blocks=4), epochs=24, newest=NEWEST, learning_rate=2e-3, validate_every=8)
QUICK_USERS, QUICK_EPOCHS = 400, 2
PRINT_SECONDS = 20.0


@dataclass(frozen=True)
class TrainedNet:
    """A network and its cost.

    processor_seconds: CPU time of the first rank times the number of ranks, which other processes do not slow down.
    """

    net: NextItemNet
    config: Mapping[str, Any]
    seconds: float
    processor_seconds: float
    epoch_seconds: float
    epoch_tokens: int
    validation_ndcg: Mapping[int, float]  # nDCG@10 on the validation after an epoch

    def save(self, file: Path) -> None:
        fields = {key: value for key, value in vars(self).items() if key != "net"}
        torch.save({**fields, "weights": self.net.state_dict(), "items": self.net.items}, file)

    @classmethod
    def load(cls, file: Path) -> "TrainedNet":
        saved = torch.load(file, weights_only=True)
        net = NextItemNet(ItemSize(**saved["config"]["size"]), saved.pop("items")).eval().requires_grad_(False)
        net.load_state_dict(saved.pop("weights"))
        return cls(net=net, **saved)


def query_interactions(is_quick: bool) -> Interactions:
    """Return the interactions of all users, or of the first users only."""
    interactions = read_movielens(data_folder())
    return of_users(interactions, np.arange(interactions.users) < QUICK_USERS) if is_quick else interactions


def config_of(seed: int, is_quick: bool) -> ItemTrainingConfig:
    return replace(CONFIG, seed=seed, epochs=QUICK_EPOCHS if is_quick else CONFIG.epochs)


def train(config: ItemTrainingConfig, interactions: Interactions, progress: "ProgressPrinter") -> TrainedNet:
    """Train on all but the last two items of each user; the second last selects the epoch."""
    validation = leave_one_out(interactions, VALIDATION)
    validation_ndcg: dict[int, float] = {}
    newest: list[ItemProgress] = []

    def record(now: ItemProgress) -> None:
        if now.validation_score is not None:
            validation_ndcg[now.epoch] = now.validation_score
        newest[:] = [now]
        progress(now)

    began, processor_began = time.perf_counter(), time.process_time()
    runtime = Runtime(ranks_per_node=int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    net = NextItemModel(config, validation, record, runtime).fit(validation.past).net
    return TrainedNet(
        net=net,
        config=config.as_json(),
        seconds=time.perf_counter() - began,
        processor_seconds=(time.process_time() - processor_began) * runtime.ranks_per_node,
        epoch_seconds=newest[0].seconds / config.epochs,
        epoch_tokens=newest[0].tokens // config.epochs,
        validation_ndcg=validation_ndcg,
    )


class ProgressPrinter:
    """Prints the progress of a training to standard error, at most every PRINT_SECONDS."""

    def __init__(self, name: str) -> None:
        self.name, self.printed_at = name, 0.0
        self.losses: list[float] = []

    def __call__(self, now: ItemProgress) -> None:
        if not is_main_rank():
            return
        self.losses.append(now.loss)
        if now.validation_score is not None:
            self._print(f"epoch {now.epoch}: nDCG@10 on the validation {now.validation_score:.4f}")
        elif time.monotonic() - self.printed_at > PRINT_SECONDS:
            left = now.seconds / now.step * max(0, now.steps - now.step)
            rate = now.tokens / now.seconds
            loss = sum(self.losses) / len(self.losses)
            self._print(f"epoch {now.epoch}, loss {loss:.3f}, {rate:,.0f} tokens/s, {left / 60:.1f} min left")
            self.printed_at, self.losses = time.monotonic(), []

    def _print(self, message: str) -> None:
        print(f"{self.name}: {message}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of the trained network")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few hundred users, two epochs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config, interactions = config_of(arguments.seed, arguments.quick), query_interactions(arguments.quick)
    trained = train(config, interactions, ProgressPrinter(f"seed {arguments.seed}"))
    if is_main_rank():
        trained.save(arguments.out)


if __name__ == "__main__":
    main()
