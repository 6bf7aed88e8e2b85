"""Baselines of the next item, each with the settings among which the validation chooses.

The life of a user is one session and no moment is known, so V-SKNN looks at all others: no session is more recent.

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
from tests.bench.public_sets.next_item import ItemContestant

ALL_SESSIONS = 1_000_000
Family = Sequence[ItemContestant]


@dataclass(frozen=True, eq=False)
class CountRanker:
    """Says the same of everybody."""

    count_V: Floats

    def scores_BV(self, interactions: Interactions) -> Floats:
        return np.broadcast_to(self.count_V, (interactions.users, len(self.count_V)))


@dataclass(frozen=True)
class PopularItems:
    """How often anybody turned to the item."""

    name: str = "popularity"

    def settings(self) -> Mapping[str, Any]:
        return {}

    def fit(self, known: Interactions) -> CountRanker:
        return CountRanker(np.bincount(known.item_N, minlength=known.things).astype(np.float64))


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
    """Users alike vote, by model/baselines/vsknn.py."""

    vsknn: VsknnSettings
    name: str = "vsknn"

    def settings(self) -> Mapping[str, Any]:
        return asdict(self.vsknn)

    def fit(self, known: Interactions) -> Vsknn:
        return fit_vsknn(known, self.vsknn)


def _transitions(bags: tuple[Bag, ...], *ridges: float) -> Family:
    return tuple(TransitionOfItems(TransitionSettings(bags, ridge)) for ridge in ridges)


_POPULARITY: Family = (PopularItems(),)
_VSKNN: Family = tuple(
    VsknnOfItems(VsknnSettings(neighbours=count, sample=ALL_SESSIONS, query_steps=steps, idf_power=power))
    for count in (100, 500)
    for steps in (5, 10)
    for power in (0.0, 1.0)
)


def _families(transitions: Family) -> Mapping[str, Family]:
    return MappingProxyType({family[0].name: family for family in (_POPULARITY, _VSKNN, transitions)})


MOVIELENS_FAMILIES = _families(_transitions((Bag(0.6, 10), Bag(0.93, 50)), 30.0, 100.0, 300.0))
# One bag: two of 12,101 items each would take 5 GB and ten minutes a fit, and a user has nine items on average.
BEAUTY_FAMILIES = _families(_transitions((Bag(0.8, 20),), 30.0, 100.0, 300.0))
