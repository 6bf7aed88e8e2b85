"""Interests of users as a table of fixed width, which can be filled in any order of users.

Shape letters: U users, I interests of a user by rank, V evidence; R interests and V evidence end to end.
"""

from dataclasses import dataclass

import numpy as np

from model.arrays import AnyArray, Floats, Ints, Texts
from model.counts.scores import Published
from model.scorer import EVIDENCE_PER_INTEREST, INTERESTS_PER_USER

NO_TAG = -1


@dataclass(frozen=True, eq=False)
class InterestTable:
    """The strongest interests of each user first, then NO_TAG; of an interest the strongest sessions, then None."""

    tag_UI: Ints
    affinity_UI: Floats
    trend_UI: Floats
    session_id_UIV: Texts

    @classmethod
    def empty(cls, users: int) -> "InterestTable":
        shape = (users, INTERESTS_PER_USER)
        return cls(
            np.full(shape, NO_TAG),
            np.zeros(shape),
            np.zeros(shape),
            np.full((*shape, EVIDENCE_PER_INTEREST), None, dtype=object),
        )

    def put(self, user_B: Ints, some: "InterestTable") -> None:
        """Take over what is told of some users."""
        self.tag_UI[user_B] = some.tag_UI
        self.affinity_UI[user_B] = some.affinity_UI
        self.trend_UI[user_B] = some.trend_UI
        self.session_id_UIV[user_B] = some.session_id_UIV

    def published(self) -> Published:
        user_R, rank_R = np.nonzero(self.tag_UI != NO_TAG)
        session_id_RV = self.session_id_UIV[user_R, rank_R]
        is_told_RV = np.asarray(session_id_RV != None, dtype=bool)  # noqa: E711  # numpy compares one by one
        return Published(
            user_R=user_R,
            tag_R=self.tag_UI[user_R, rank_R],
            affinity_R=self.affinity_UI[user_R, rank_R],
            trend_R=self.trend_UI[user_R, rank_R],
            evidence_count_R=is_told_RV.sum(axis=1),
            session_id_V=session_id_RV[is_told_RV],
        )


def strongest_UI(affinity_UT: Floats) -> Ints:
    """Return the strongest tags of each user, of equals the first by name; NO_TAG where nothing more is told."""
    order_UI = np.argsort(-affinity_UT, axis=1, kind="stable")[:, :INTERESTS_PER_USER]
    is_told_UI = np.isfinite(np.take_along_axis(affinity_UT, order_UI, axis=1))
    missing = INTERESTS_PER_USER - order_UI.shape[1]
    return np.pad(np.where(is_told_UI, order_UI, NO_TAG), ((0, 0), (0, missing)), constant_values=NO_TAG)


def of_tags_UI(value_UT: AnyArray, tag_UI: Ints) -> Floats:
    """Return the value of each listed tag, 0 where there is no tag."""
    return np.where(tag_UI == NO_TAG, 0.0, np.take_along_axis(value_UT, np.maximum(tag_UI, 0), axis=1))
