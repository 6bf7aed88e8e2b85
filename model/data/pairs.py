"""Pairs of a user and a tag; an affinity belongs to a pair.

Shape letters: P pairs, M touches, U users, T tags (see model/data/history.py).
"""

from dataclasses import dataclass

import numpy as np

from model.data.arrays import Bools, Floats, Ints, sum_by_group
from model.data.history import History


@dataclass(frozen=True, eq=False)
class Pairs:
    """Distinct pairs, by user and then by tag."""

    key_P: Ints  # user * tags + tag, rising
    tags: int

    @property
    def user_P(self) -> Ints:
        return self.key_P // max(self.tags, 1)

    @property
    def tag_P(self) -> Ints:
        return self.key_P % max(self.tags, 1)

    def __len__(self) -> int:
        return len(self.key_P)

    def find(self, others: "Pairs") -> tuple[Ints, Bools]:
        """Return the index of each of `others` among these, and whether it is there; if not, the index is void."""
        if not len(self):
            return np.zeros(len(others), dtype=np.int64), np.zeros(len(others), dtype=bool)
        at = np.minimum(np.searchsorted(self.key_P, others.key_P), len(self) - 1)
        return at, self.key_P[at] == others.key_P

    def of_users(self, is_kept_U: Bools) -> "Pairs":
        """Return the pairs of some users, whose codes start from 0 again."""
        is_kept_P = is_kept_U[self.user_P]
        new_user_U = np.cumsum(is_kept_U) - 1
        return Pairs(new_user_U[self.user_P[is_kept_P]] * self.tags + self.tag_P[is_kept_P], self.tags)


@dataclass(frozen=True, eq=False)
class OwnTags:
    """The tags that each user has touched."""

    pairs: Pairs
    pair_M: Ints  # the pair of each touch

    def sum_over_touches(self, value_M: Floats) -> Floats:
        return sum_by_group(value_M, self.pair_M, len(self.pairs))


def own_tags(history: History) -> OwnTags:
    key_M = history.user_E[history.event_M] * len(history.tag_T) + history.tag_M
    key_P, pair_M = np.unique(key_M, return_inverse=True)
    return OwnTags(Pairs(key_P, len(history.tag_T)), pair_M)


def candidates(own: OwnTags, users: int, popular_tags: Ints) -> Pairs:
    """Return for every user the own tags and the popular ones, each once."""
    tags = own.pairs.tags
    popular_P = (np.arange(users)[:, None] * tags + popular_tags).ravel()
    return Pairs(np.union1d(own.pairs.key_P, popular_P), tags)
