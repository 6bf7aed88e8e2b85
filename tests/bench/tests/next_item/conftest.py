"""Histories with a planted order, and a small network in double precision for exact comparisons."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from model.baselines.interactions import Interactions
from tests.bench.next_item.network import ItemSize, NextItemNet

ITEMS = 20


@pytest.fixture(scope="session")
def interactions_of() -> Callable[[Sequence[Sequence[int]]], Interactions]:
    """Return the function that makes interactions of the items of each user, oldest first."""

    def make(histories: Sequence[Sequence[int]]) -> Interactions:
        user_N = np.repeat(np.arange(len(histories)), [len(life) for life in histories])
        return Interactions(
            users=len(histories),
            items=ITEMS,
            user_N=user_N,
            item_N=np.array([item for life in histories for item in life], dtype=np.int64),
            at_N=np.array([place for life in histories for place in range(len(life))], dtype=np.int64),
            session_N=user_N.copy(),
        )

    return make


@pytest.fixture(scope="session")
def lives() -> list[list[int]]:
    """120 histories of 6 to 14 items: each starts at random and advances by 3; one step in five is random."""
    random = np.random.default_rng(7)
    histories = []
    for length in random.integers(6, 15, 120):
        life = [int(random.integers(ITEMS))]
        while len(life) < length:
            step = (life[-1] + 3) % ITEMS
            life.append(int(random.integers(ITEMS)) if random.random() < 0.2 else step)
        histories.append(life)
    return histories


@pytest.fixture
def net() -> NextItemNet:
    """A network in which every part matters."""
    torch.manual_seed(5)
    made = NextItemNet(ItemSize(width=16, heads=2, blocks=2, places=32), ITEMS).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return made
