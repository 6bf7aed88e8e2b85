"""Lives of a planted kind, and a small net in double precision, so that equal means equal."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from model.baselines.interactions import Interactions
from tests.bench.next_item.network import ItemSize, NextItemNet

ITEMS = 20


@pytest.fixture(scope="session")
def interactions_of() -> Callable[[Sequence[Sequence[int]]], Interactions]:
    """Return the function that makes trails of the items of each user, oldest first."""

    def make(lives: Sequence[Sequence[int]]) -> Interactions:
        user_N = np.repeat(np.arange(len(lives)), [len(life) for life in lives])
        return Interactions(
            users=len(lives),
            things=ITEMS,
            user_N=user_N,
            item_N=np.array([item for life in lives for item in life], dtype=np.int64),
            at_N=np.array([place for life in lives for place in range(len(life))], dtype=np.int64),
            session_N=user_N.copy(),
        )

    return make


@pytest.fixture(scope="session")
def lives() -> list[list[int]]:
    """120 lives of 6 to 14 items: each begins anywhere and goes on by 3; one step in five goes anywhere instead."""
    random = np.random.default_rng(7)
    told = []
    for length in random.integers(6, 15, 120):
        life = [int(random.integers(ITEMS))]
        while len(life) < length:
            step = (life[-1] + 3) % ITEMS
            life.append(int(random.integers(ITEMS)) if random.random() < 0.2 else step)
        told.append(life)
    return told


@pytest.fixture
def net() -> NextItemNet:
    """A net whose every part says something."""
    torch.manual_seed(5)
    made = NextItemNet(ItemSize(width=16, heads=2, blocks=2, places=32), ITEMS).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return made
