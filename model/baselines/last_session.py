"""What the user did in the last session, and nothing older.

Shape letters: U users, T tags asked about, V tags learnt of, M touches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.arrays import Floats, Texts
from model.baselines.vocabulary import told_of
from model.counts.lesson import Lesson
from model.counts.popularity import share_of_users_T
from model.history import History


@dataclass(frozen=True, eq=False)
class LastSessionRanker:
    """A Ranker: the crowd fills up what the last session leaves open."""

    tag_V: Texts  # sorted
    share_V: Floats

    def strength_UT(self, past: History) -> Floats:
        """Return how often the last session touched each tag; equals, and those it did not touch, by popularity."""
        less_than_a_touch_T = told_of(past.tag_T, self.tag_V, self.share_V, 0.0) / 2
        last_U = np.full(past.users, -1)
        np.maximum.at(last_U, past.user_E, past.session_E)
        user_M = past.user_E[past.event_M]
        is_last_M = past.session_E[past.event_M] == last_U[user_M]
        strength_UT = np.tile(less_than_a_touch_T, (past.users, 1))
        np.add.at(strength_UT, (user_M[is_last_M], past.tag_M[is_last_M]), 1.0)
        return strength_UT


@dataclass(frozen=True)
class LastSession:
    """A Contestant."""

    popularity_half_life_days: float

    @property
    def name(self) -> str:
        return "last-session"

    @property
    def states_probabilities(self) -> bool:
        return False

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> LastSessionRanker:
        return LastSessionRanker(past.tag_T, share_of_users_T(past, cut, self.popularity_half_life_days))
