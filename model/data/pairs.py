"""Pairs of a user and a tag; an affinity belongs to a pair.

Shape letters: P pairs, M touches, U users, T tags (see model/data/history.py).
"""

from dataclasses import dataclass

import numpy as np

from model.data.arrays import AnyArray, Bools, Floats, Ints, sum_by_group
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

    def without(self, others: "Pairs") -> "Pairs":
        """Return these pairs without the others, which have the same tags."""
        return Pairs(np.setdiff1d(self.key_P, others.key_P, assume_unique=True), self.tags) if len(others) else self

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


def excluded_pairs(history: History, item_I: AnyArray) -> Pairs:
    """Return the pairs of a user and a code of the sorted `item_I` that top items must not have.

    item_I: ids of items, as integers or as texts.
    """
    item_X = history.item_X.astype(str).astype(object) if item_I.dtype == object else history.item_X
    code_X = np.searchsorted(item_I, item_X)
    is_known_X = code_X < len(item_I)
    is_known_X[is_known_X] = item_I[code_X[is_known_X]] == item_X[is_known_X]
    key_X = history.user_X[is_known_X] * len(item_I) + code_X[is_known_X]
    return Pairs(np.unique(key_X), len(item_I))


def candidates(own: OwnTags, users: int, popular_tags: Ints) -> Pairs:
    """Return for every user the own tags and the popular ones, each once."""
    tags = own.pairs.tags
    popular_P = (np.arange(users)[:, None] * tags + popular_tags).ravel()
    return Pairs(np.union1d(own.pairs.key_P, popular_P), tags)
