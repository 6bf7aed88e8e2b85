"""One training of a next-item net on MovieLens as a process of one thread; `make bench movielens` starts these.

python -m tests.bench.item_training --out FILE [--seed N] [--quick]
"""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.baselines.interactions import Interactions
from tests.bench.next_item.contestant import NetOfItems
from tests.bench.next_item.network import ItemSize, NextItemNet
from tests.bench.next_item.trainer import ItemProgress, ItemRecipe
from tests.bench.public_sets.files import data_folder
from tests.bench.public_sets.movielens import NEWEST, read_movielens
from tests.bench.public_sets.next_item import VALIDATION, question
from tests.bench.public_sets.orders import of_users

RECIPE = ItemRecipe(newest=NEWEST, epochs=38, learning_rate=2e-3, judged_every=10)
QUICK_USERS, QUICK_EPOCHS = 400, 2
TELL_SECONDS = 20.0


@dataclass(frozen=True)
class TrainedNet:
    """A net, and what it took. processor_seconds: those of an idle core; others may have slowed the seconds."""

    net: NextItemNet
    recipe: Mapping[str, Any]
    seconds: float
    processor_seconds: float
    epoch_seconds: float
    epoch_tokens: int
    judged: Mapping[int, float]  # nDCG@10 on the validation after an epoch

    def save(self, file: Path) -> None:
        told = {key: value for key, value in vars(self).items() if key != "net"}
        torch.save({**told, "weights": self.net.state_dict(), "items": self.net.items}, file)

    @classmethod
    def load(cls, file: Path) -> "TrainedNet":
        told = torch.load(file, weights_only=True)
        net = NextItemNet(ItemSize(**told["recipe"]["size"]), told.pop("items")).eval().requires_grad_(False)
        net.load_state_dict(told.pop("weights"))
        return cls(net=net, **told)


def query_interactions(is_quick: bool) -> Interactions:
    """Return everybody's items, or those of the first users alone."""
    interactions = read_movielens(data_folder())
    return of_users(interactions, np.arange(interactions.users) < QUICK_USERS) if is_quick else interactions


def recipe_of(seed: int, is_quick: bool) -> ItemRecipe:
    return replace(RECIPE, seed=seed, epochs=QUICK_EPOCHS if is_quick else RECIPE.epochs)


def train(recipe: ItemRecipe, interactions: Interactions, told: "Telling") -> TrainedNet:
    """Train on all but the last two items of everybody; the second last chooses the epoch."""
    validation = question(interactions, VALIDATION)
    judged: dict[int, float] = {}
    progress: list[ItemProgress] = []

    def tell(now: ItemProgress) -> None:
        if now.judged is not None:
            judged[now.epoch] = now.judged
        progress[:] = [now]
        told(now)

    began, processor_began = time.perf_counter(), time.process_time()
    net = NetOfItems(recipe, validation, tell).fit(validation.past).net
    return TrainedNet(
        net=net,
        recipe=recipe.as_json(),
        seconds=time.perf_counter() - began,
        processor_seconds=time.process_time() - processor_began,
        epoch_seconds=progress[0].seconds / recipe.epochs,
        epoch_tokens=progress[0].tokens // recipe.epochs,
        judged=judged,
    )


class Telling:
    """Tells standard error how a training goes, now and then."""

    def __init__(self, name: str) -> None:
        self.name, self.told_at = name, 0.0
        self.losses: list[float] = []

    def __call__(self, now: ItemProgress) -> None:
        self.losses.append(now.loss)
        if now.judged is not None:
            self._say(f"epoch {now.epoch}: nDCG@10 on the validation {now.judged:.4f}")
        elif time.monotonic() - self.told_at > TELL_SECONDS:
            left = now.seconds / now.step * max(0, now.steps - now.step)
            rate = now.tokens / now.seconds
            loss = sum(self.losses) / len(self.losses)
            self._say(f"epoch {now.epoch}, loss {loss:.3f}, {rate:,.0f} tokens/s, {left / 60:.1f} min left")
            self.told_at, self.losses = time.monotonic(), []

    def _say(self, what: str) -> None:
        print(f"{self.name}: {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the net goes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few hundred users, two epochs")
    told = parser.parse_args()
    torch.set_num_threads(1)
    train(recipe_of(told.seed, told.quick), query_interactions(told.quick), Telling(f"seed {told.seed}")).save(told.out)


if __name__ == "__main__":
    main()
