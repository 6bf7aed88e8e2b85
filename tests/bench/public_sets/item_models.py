"""Baselines of the next item, each with its grid of settings.

The history of a user is one session without times, so V-SKNN samples from all sessions: none is more recent.

Shape letters: B users of a batch, V items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from model.baselines.interactions import Interactions
from model.baselines.transition import Bag, Transition, TransitionSettings, fit_transition
from model.baselines.vsknn import Vsknn, VsknnSettings, fit_vsknn
from model.data.arrays import Floats
from tests.bench.public_sets.next_item import ItemModel

ALL_SESSIONS = 1_000_000
Grid = Sequence[ItemModel]


@dataclass(frozen=True, eq=False)
class CountRanker:
    """The same scores for all users."""

    count_V: Floats

    def scores_BV(self, interactions: Interactions) -> Floats:
        return np.broadcast_to(self.count_V, (interactions.users, len(self.count_V)))


@dataclass(frozen=True)
class PopularItems:
    """The number of interactions with the item."""

    name: str = "popularity"

    def settings(self) -> Mapping[str, Any]:
        return {}

    def fit(self, known: Interactions) -> CountRanker:
        return CountRanker(np.bincount(known.item_N, minlength=known.items).astype(np.float64))


@dataclass(frozen=True)
class TransitionOfItems:
    """The closed-form linear map of model/baselines/transition.py."""

    transition: TransitionSettings
    name: str = "transition"

    def settings(self) -> Mapping[str, Any]:
        return asdict(self.transition)

    def fit(self, known: Interactions) -> Transition:
        return fit_transition(known, self.transition)


@dataclass(frozen=True)
class VsknnOfItems:
    """Similar users vote, by model/baselines/vsknn.py."""

    vsknn: VsknnSettings
    name: str = "vsknn"

    def settings(self) -> Mapping[str, Any]:
        return asdict(self.vsknn)

    def fit(self, known: Interactions) -> Vsknn:
        return fit_vsknn(known, self.vsknn)


def _transitions(bags: tuple[Bag, ...], *ridges: float) -> Grid:
    return tuple(TransitionOfItems(TransitionSettings(bags, ridge)) for ridge in ridges)


_POPULARITY: Grid = (PopularItems(),)
_VSKNN: Grid = tuple(
    VsknnOfItems(VsknnSettings(neighbours=count, sample=ALL_SESSIONS, query_steps=steps, idf_power=power))
    for count in (100, 500)
    for steps in (5, 10)
    for power in (0.0, 1.0)
)


def _grids(transitions: Grid) -> Mapping[str, Grid]:
    return MappingProxyType({grid[0].name: grid for grid in (_POPULARITY, _VSKNN, transitions)})


MOVIELENS_GRIDS = _grids(_transitions((Bag(0.6, 10), Bag(0.93, 50)), 30.0, 100.0, 300.0))
# One bag: two of 12,101 items each would take 5 GB and ten minutes a fit, and a user has nine items on average.
BEAUTY_GRIDS = _grids(_transitions((Bag(0.8, 20),), 30.0, 100.0, 300.0))
