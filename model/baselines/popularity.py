"""What everybody turned to of late, the same for all.

Shape letters: U users, T tags asked about, V tags learnt of, P pairs of user and tag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.arrays import Floats, Texts, summed
from model.baselines.vocabulary import told_of
from model.counts.decay import fading_E
from model.counts.lesson import Lesson
from model.counts.pairs import own_tags
from model.history import History


def share_of_users_T(past: History, moment: int, half_life_days: float) -> Floats:
    """Return the share of users who touch each tag, 0 to 1, each counting less the longer ago the touch, or the visit.

    Counts as model/counts/popularity.py does, of which the half-life is fixed. No event may lie at `moment` or after.
    """
    fading = fading_E(past, moment, half_life_days)
    newest_visit_U = np.zeros(past.users)
    np.maximum.at(newest_visit_U, past.user_E, fading)
    own = own_tags(past)
    newest_touch_P = np.zeros(len(own.pairs))
    np.maximum.at(newest_touch_P, own.pair_M, fading[past.event_M])
    visited = float(newest_visit_U.sum())
    touched_T = summed(newest_touch_P, own.pairs.tag_P, len(past.tag_T))
    return touched_T / visited if visited > 0 else touched_T


@dataclass(frozen=True, eq=False)
class ShareRanker:
    """A Ranker that says the same of everybody."""

    tag_V: Texts  # sorted
    share_V: Floats

    def strength_UT(self, past: History) -> Floats:
        """Return the share of each tag, 0 for one that nobody has touched."""
        return np.tile(told_of(past.tag_T, self.tag_V, self.share_V, 0.0), (past.users, 1))


@dataclass(frozen=True)
class RecentPopularity:
    """A Contestant."""

    half_life_days: float

    @property
    def name(self) -> str:
        return "popularity"

    @property
    def states_probabilities(self) -> bool:
        return False

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> ShareRanker:
        return ShareRanker(past.tag_T, share_of_users_T(past, cut, self.half_life_days))
