"""Small models, and the histories that they are evaluated on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from model.data.arrays import Floats
from model.data.cutoffs import Cutoffs, evaluation_cutoffs
from model.data.folds import Histories
from model.data.history import History, decayed_weight_E, history_of
from model.data.popularity import fit_popularity
from model.interfaces import Model, TrainingData


@dataclass(frozen=True, eq=False)
class DecayedRanker:
    """Own decayed counts, then popularity at the cutoff."""

    half_life_days: float
    cutoff: int
    tag_T: Any
    share_T: Floats
    predicts_probabilities: bool

    def scores_UT(self, past: History) -> Floats:
        count_UT = np.zeros((past.users, len(past.tag_T)))
        weight_E = decayed_weight_E(past, self.cutoff, self.half_life_days)
        np.add.at(count_UT, (past.user_E[past.event_M], past.tag_M), weight_E[past.event_M])
        share_of = dict(zip(self.tag_T, self.share_T, strict=True))
        scores_UT = count_UT + 0.01 * np.array([share_of.get(tag, 0.0) for tag in past.tag_T])
        return 1 - np.exp(-scores_UT) if self.predicts_probabilities else scores_UT


@dataclass(frozen=True)
class Decayed(Model):
    """Ranks tags by decayed counts."""

    half_life_days: float
    predicts_probabilities: bool = False
    name: str = "decayed"

    def settings(self) -> Mapping[str, Any]:
        return {"half_life_days": self.half_life_days}

    def fit(self, data: TrainingData) -> DecayedRanker:
        popularity = fit_popularity(data.past, data.cutoff)
        return DecayedRanker(
            self.half_life_days, data.cutoff, popularity.tag_T, popularity.share_T, self.predicts_probabilities
        )


@pytest.fixture(scope="session")
def decayed() -> type[Decayed]:
    return Decayed


@pytest.fixture(scope="session")
def windows(world: Any) -> Cutoffs:
    return evaluation_cutoffs(
        world.last_day - timedelta(days=7), 7, world.last_day - timedelta(days=41), world.last_day
    )


@pytest.fixture(scope="session")
def known_of() -> Callable[[Any, Cutoffs], Histories]:
    def of(world: Any, windows: Cutoffs) -> Histories:
        days = {*windows.all, *(windows.end_of(cutoff) for cutoff in windows.all)}
        return {day: history_of(world.until(day)) for day in days}

    return of


@pytest.fixture(scope="session")
def known(world: Any, windows: Cutoffs, known_of: Callable[[Any, Cutoffs], Histories]) -> Histories:
    return known_of(world, windows)
