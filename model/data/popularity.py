"""Popularity of tags, and of items within each tag.

Shape letters: T tags, K items of tags (a tag's together, most popular first), P pairs of user and tag, M touches,
U users.
"""

from dataclasses import dataclass

import numpy as np

from model.data.arrays import Floats, Ints, Texts, strongest_first, sum_by_group, top
from model.data.history import NO_ITEM, History, fading_E
from model.data.pairs import own_tags

HALF_LIFE_DAYS = 7.0  # popularity changes slower than one user; a week also evens out weekends
POPULAR_TAGS = 20
ITEMS_PER_TAG = 20


@dataclass(frozen=True, eq=False)
class Popularity:
    """Shares among users as of a moment."""

    tag_T: Texts  # sorted
    share_T: Floats  # of the users, each decayed by the age of the touch (or the visit), 0 to 1
    least_share: float  # that of a tag with half a user
    tag_K: Ints
    item_K: Ints
    share_K: Floats  # among the items of the tag's users, 0 to 1

    def share_of(self, tag_T: Texts) -> Floats:
        """Return the share of each of the sorted `tag_T`, which has every tag of this one; an unknown one the least."""
        share_T = np.zeros(len(tag_T))
        share_T[np.searchsorted(tag_T, self.tag_T)] = self.share_T
        return np.maximum(share_T, self.least_share)

    def popular_tags(self) -> Texts:
        """Return the names of the most popular tags, most popular first."""
        is_alive_T = self.share_T > 0
        names = self.tag_T[is_alive_T]
        order, _ = strongest_first(
            np.zeros(len(names), dtype=np.int64), self.share_T[is_alive_T], np.arange(len(names))
        )
        return names[order[:POPULAR_TAGS]]


def fit_popularity(history: History, moment: int) -> Popularity:
    """Count users, not events, so that one busy user makes nothing popular. No event may lie at `moment` or after."""
    fading = fading_E(history, moment, HALF_LIFE_DAYS)
    share_T, visited = _shares_T(history, fading)
    return Popularity(history.tag_T, share_T, 0.5 / max(visited, 1.0), *_items_of_tags(history, fading))


def share_of_users_T(history: History, moment: int, half_life_days: float) -> Floats:
    """Return the share of users who touch each tag, 0 to 1, each decayed by the age of the touch, or of the visit.

    No event may lie at `moment` or after.
    """
    return _shares_T(history, fading_E(history, moment, half_life_days))[0]


def _shares_T(history: History, fading: Floats) -> tuple[Floats, float]:
    """Return the share of each tag, and how many users count, each by the newest visit."""
    newest_visit_U = np.zeros(history.users)
    np.maximum.at(newest_visit_U, history.user_E, fading)
    own = own_tags(history)
    newest_touch_P = np.zeros(len(own.pairs))
    np.maximum.at(newest_touch_P, own.pair_M, fading[history.event_M])
    touched_T = sum_by_group(newest_touch_P, own.pairs.tag_P, len(history.tag_T))
    visited = float(newest_visit_U.sum())
    return touched_T / visited if visited > 0 else touched_T, visited


def _items_of_tags(history: History, fading: Floats) -> tuple[Ints, Ints, Floats]:
    """Return tag, item and share of the most popular items of each tag."""
    has_item_M = history.item_E[history.event_M] != NO_ITEM
    event_M, tag_M = history.event_M[has_item_M], history.tag_M[has_item_M]
    item_I, item_M = np.unique(history.item_E[event_M], return_inverse=True)
    if not len(item_I):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    cell_M = tag_M * len(item_I) + item_M
    visit, visit_M = np.unique(cell_M * history.users + history.user_E[event_M], return_inverse=True)
    newest = np.zeros(len(visit))
    np.maximum.at(newest, visit_M, fading[event_M])
    cell, cell_of_visit = np.unique(visit // history.users, return_inverse=True)
    mass = sum_by_group(newest, cell_of_visit, len(cell))
    tag, item = cell // len(item_I), item_I[cell % len(item_I)]
    of_tag = sum_by_group(mass, tag, len(history.tag_T))[tag]
    share = np.divide(mass, of_tag, out=np.zeros_like(mass), where=of_tag > 0)
    chosen_K = top(ITEMS_PER_TAG, tag, share, item)
    return tag[chosen_K], item[chosen_K], share[chosen_K]
