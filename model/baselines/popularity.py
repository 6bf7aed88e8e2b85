"""What everybody turned to of late, the same for all.

Shape letters: U users, T tags asked about, V tags learnt of.
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
