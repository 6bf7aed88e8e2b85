"""Contestants small enough to see through, and a world that they are judged on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from model.data.arrays import Floats
from model.data.cutoffs import Split, split
from model.data.folds import Known
from model.data.history import History, decayed_weight_E, history_of
from model.data.labels import Lesson
from model.data.popularity import popularity
from model.evaluation.results import LearningCurve


@dataclass(frozen=True, eq=False)
class DecayedRanker:
    """Own decayed counts, filled up by what was popular at the cut."""

    half_life_days: float
    cut: int
    tag_T: Any
    share_T: Floats
    states_probabilities: bool

    def strength_UT(self, past: History) -> Floats:
        count_UT = np.zeros((past.users, len(past.tag_T)))
        weight_E = decayed_weight_E(past, self.cut, self.half_life_days)
        np.add.at(count_UT, (past.user_E[past.event_M], past.tag_M), weight_E[past.event_M])
        share_of = dict(zip(self.tag_T, self.share_T, strict=True))
        strength_UT = count_UT + 0.01 * np.array([share_of.get(tag, 0.0) for tag in past.tag_T])
        return 1 - np.exp(-strength_UT) if self.states_probabilities else strength_UT


class LearningRanker(DecayedRanker):
    @property
    def learning_curve(self) -> LearningCurve:
        return LearningCurve((1.0, 2.0, 3.0), (0.2, 0.3, 0.35), "epoch")


@dataclass(frozen=True)
class Decayed:
    """A Contestant."""

    half_life_days: float
    states_probabilities: bool = False
    is_learner: bool = False
    name: str = "decayed"

    def settings(self) -> Mapping[str, Any]:
        return {"half_life_days": self.half_life_days}

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> DecayedRanker:
        crowd = popularity(past, cut)
        kind = LearningRanker if self.is_learner else DecayedRanker
        return kind(self.half_life_days, cut, crowd.tag_T, crowd.share_T, self.states_probabilities)


@pytest.fixture(scope="session")
def decayed() -> type[Decayed]:
    return Decayed


@pytest.fixture(scope="session")
def windows(world: Any) -> Split:
    return split(world.last_day - timedelta(days=7), 7, world.last_day - timedelta(days=41), world.last_day)


@pytest.fixture(scope="session")
def known_of() -> Callable[[Any, Split], Known]:
    def of(world: Any, windows: Split) -> Known:
        days = {*windows.cuts, windows.last}
        return {day: history_of(world.until(day)) for day in days}

    return of


@pytest.fixture(scope="session")
def known(world: Any, windows: Split, known_of: Callable[[Any, Split], Known]) -> Known:
    return known_of(world, windows)
