"""A small training: 80 users, one encoder and one decoder block, three epochs."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.baselines.simple import OwnCounts
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import label_window
from model.interfaces import TrainingData
from model.transformer.config import NetworkConfig, TrainingConfig
from model.transformer.dataset import TrainingSet
from model.transformer.network import InterestTransformer
from model.transformer.stacked_features import CrossFittedFeatures
from model.transformer.tokens import Vocabulary
from model.transformer.trainer import Trainer

ROOT = Path(__file__).resolve().parents[4]
CHILD = Path(__file__).with_name("child.py")
SMALL = NetworkConfig(width=16, heads=2, encoder_blocks=1, decoder_blocks=1, interests=2)
WEEK = 7 * MICROS_PER_DAY


@dataclass(frozen=True)
class Small:
    """A training set, the set of the week after it, and the network that is trained."""

    training_set: TrainingSet
    later_week: TrainingSet
    names: tuple[int, int, int]  # items, tags, actions
    config: TrainingConfig

    def network(self, seed: int = 1) -> InterestTransformer:
        torch.manual_seed(seed)
        return InterestTransformer(SMALL, *self.names, features=1)

    def trainer(self, runtime: Any = None, **changes: Any) -> Trainer:
        return Trainer(self.network(), [self.training_set], replace(self.config, **changes), runtime)


@pytest.fixture(scope="session")
def small(world: Any) -> Small:
    history = history_of(world.until(world.last_day))
    history = history.of_users(np.arange(history.users) < 80)
    cutoffs = [end_of_day(world.last_day) - number * WEEK for number in (3, 2, 1)]
    windows = [label_window(history, cutoff, cutoff + WEEK) for cutoff in cutoffs]
    vocabulary = Vocabulary.of(windows[-1].past)
    features = CrossFittedFeatures.of(
        [OwnCounts(is_tuned=True)], TrainingData(windows[:1], windows[1].past, windows[1].cutoff)
    )
    training_set, later_week = (TrainingSet.of(one.past, [one], vocabulary, features, SMALL) for one in windows[1:])
    known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    return Small(training_set, later_week, known, TrainingConfig(epochs=3, tokens_per_batch=1024, warmup_steps=5))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Use one thread, as the child process does, so that sums have the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def child(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[list[str], dict[str, Any]]]:
    """Return a function that returns the command and the options to start `child.py` on some ranks."""
    compiled = str(tmp_path_factory.mktemp("compiled"))  # compiled once for all children
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def command(*arguments: object, ranks: int = 1) -> tuple[list[str], dict[str, Any]]:
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
        line = [sys.executable, *several, str(CHILD), *map(str, arguments)]
        own = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": compiled, "OMP_NUM_THREADS": "1"}
        devices = {"GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
        return line, {"env": {**environment, **own, **devices}, "cwd": ROOT}

    return command


@pytest.fixture(scope="session")
def same_weights() -> Callable[[Any, Any], bool]:
    """Return a function that compares two states bit for bit."""

    def compare(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
        return list(one) == list(other) and all(torch.equal(one[name], weight) for name, weight in other.items())

    return compare
