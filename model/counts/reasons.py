"""Why an item is among the top items of a user, for all models.

Shape letters: U users, R interests (a user's together, by rank), K top items (a user's together, best first), T tags,
Q pairs of a top item and a tag of it.
"""

from dataclasses import dataclass

import numpy as np

from model.data.arrays import Bools, Floats, Ints, Texts, top
from model.data.history import NO_ITEM, History
from model.data.popularity import Popularity
from model.data.scores import INTEREST, POPULAR, REPEAT, Reasons, Scores

NONE = -1


@dataclass(frozen=True, eq=False)
class Interests:
    """The published interests of the users of a history."""

    user_R: Ints
    tag_R: Texts
    affinity_R: Floats
    has_evidence_R: Bools  # else the interest is estimated from popularity

    @classmethod
    def of(cls, scores: Scores) -> "Interests":
        return cls(scores.user_R, scores.tag_R, scores.affinity_R, scores.evidence_count_R > 0)


def has_touched_K(history: History, user_K: Ints, item_K: Ints) -> Bools:
    """Return whether the user has an event with the item."""
    item_I, code_E = np.unique(history.item_E, return_inverse=True)
    code_K = np.minimum(np.searchsorted(item_I, item_K), max(len(item_I) - 1, 0))
    if not len(item_I):
        return np.zeros(len(item_K), dtype=bool)
    key_K = user_K * len(item_I) + code_K
    return np.asarray((item_I[code_K] == item_K) & np.isin(key_K, history.user_E * len(item_I) + code_E))


def interest_behind_K(user_K: Ints, item_K: Ints, interests: Interests, popularity: Popularity) -> Ints:
    """Return the index R of the interest that adds most to the item, by affinity times the item's share in the tag.

    NONE where the item is of no interest of the user, or where that interest is estimated from popularity.
    """
    tag_T = popularity.tag_T
    order = np.argsort(popularity.item_K, kind="stable")
    item_of_entry = popularity.item_K[order]
    first_K, last_K = (np.searchsorted(item_of_entry, item_K, side=side) for side in ("left", "right"))
    entries_K = last_K - first_K
    at_Q = np.repeat(np.arange(len(item_K)), entries_K)
    place_Q = np.arange(len(at_Q)) - np.repeat(np.cumsum(entries_K) - entries_K, entries_K)
    entry_Q = order[first_K[at_Q] + place_Q]
    tag_Q = popularity.tag_K[entry_Q]

    code_R = np.searchsorted(tag_T, interests.tag_R)
    known = np.flatnonzero(np.isin(interests.tag_R, tag_T))
    key_R = interests.user_R[known] * len(tag_T) + code_R[known]
    by_key = np.argsort(key_R)
    interest_Q, is_interest_Q = _find(key_R[by_key], user_K[at_Q] * len(tag_T) + tag_Q)
    found = np.flatnonzero(is_interest_Q)
    interest = known[by_key[interest_Q[found]]]
    value = interests.affinity_R[interest] * popularity.share_K[entry_Q[found]]
    best = top(1, at_Q[found], value, tag_Q[found])
    best = best[interests.has_evidence_R[interest[best]]]

    interest_K = np.full(len(item_K), NONE)
    interest_K[at_Q[found[best]]] = interest[best]
    return interest_K


def tags_of(interests: Interests, interest_K: Ints, is_interest_K: Bools) -> Texts:
    """Return the tag of the interest of each item whose reason it is, else None."""
    tag_K = np.full(len(interest_K), None, dtype=object)
    tag_K[is_interest_K] = interests.tag_R[interest_K[is_interest_K]]
    return tag_K


def reasons_by_formula(
    history: History, user_K: Ints, item_K: Ints, interests: Interests, popularity: Popularity
) -> Reasons:
    """Return the reasons of items that were ranked by own counts and shares in interests; no item follows another."""
    interest_K = interest_behind_K(user_K, item_K, interests, popularity)
    is_repeat_K = has_touched_K(history, user_K, item_K)
    is_interest_K = ~is_repeat_K & (interest_K != NONE)
    kind_K = np.select([is_repeat_K, is_interest_K], [REPEAT, INTEREST], POPULAR).astype(object)
    return Reasons(kind_K, tags_of(interests, interest_K, is_interest_K), np.full(len(item_K), NO_ITEM))


def _find(sorted_N: Ints, wanted_Q: Ints) -> tuple[Ints, Bools]:
    """Return the index of each wanted value, and whether it is there."""
    if not len(sorted_N):
        return np.zeros(len(wanted_Q), dtype=np.int64), np.zeros(len(wanted_Q), dtype=bool)
    at_Q = np.minimum(np.searchsorted(sorted_N, wanted_Q), len(sorted_N) - 1)
    return at_Q, sorted_N[at_Q] == wanted_Q
