"""Labelled windows: what was known at a cutoff, and which tags users touched after it. Models are fitted to them.

Shape letters: U users, P pairs of user and candidate tag, T tags.
"""

from dataclasses import dataclass, replace

import numpy as np

from model.data.arrays import Bools, Floats, Ints
from model.data.history import History
from model.data.pairs import OwnTags, Pairs, candidates, own_tags
from model.data.popularity import fit_popularity


@dataclass(frozen=True, eq=False)
class LabeledWindow:
    """Users with events before the cutoff. Only `touched` and the fields after it depend on later events."""

    cutoff: int  # moment
    end: int  # moment at which the window is over
    past: History
    own: OwnTags
    pairs: Pairs
    share_T: Floats
    touched: Pairs  # after the cutoff, candidates or not
    touches_P: Ints  # how many events touch each pair of `touched`
    is_touched_P: Bools
    touched_tags_U: Ints
    has_returned_U: Bools

    def of_users(self, is_kept_U: Bools) -> "LabeledWindow":
        """Return the window of some users only; the shares of the tags stay those of all."""
        past = self.past.of_users(is_kept_U)
        return replace(
            self,
            past=past,
            own=own_tags(past),
            pairs=self.pairs.of_users(is_kept_U),
            touched=self.touched.of_users(is_kept_U),
            touches_P=self.touches_P[is_kept_U[self.touched.user_P]],
            is_touched_P=self.is_touched_P[is_kept_U[self.pairs.user_P]],
            touched_tags_U=self.touched_tags_U[is_kept_U],
            has_returned_U=self.has_returned_U[is_kept_U],
        )


def without_pairs(window: LabeledWindow, excluded: Pairs) -> LabeledWindow:
    """Return the same window without these pairs among candidates and labels; `own` keeps them."""
    if not len(excluded):
        return window
    pairs, touched = window.pairs.without(excluded), window.touched.without(excluded)
    return replace(
        window,
        pairs=pairs,
        touched=touched,
        touches_P=window.touches_P[~np.isin(window.touched.key_P, excluded.key_P)],
        is_touched_P=touched.find(pairs)[1],
        touched_tags_U=np.bincount(touched.user_P, minlength=window.past.users),
    )


def label_window(history: History, cutoff: int, end: int) -> LabeledWindow:
    """Split `history` at the cutoff; labels are the touches until `end`.

    Leaves out users without an event before the cutoff. A user whose full list begins after the cutoff is one of them.
    """
    known = history.before(end)
    begins_before_U = known.first_listed_at_U() < cutoff
    known = known.of_users(begins_before_U)
    return _label_window(known.before(cutoff), known.since(cutoff), cutoff, end)


def label_window_between(then: History, later: History, cutoff: int, end: int) -> LabeledWindow:
    """Return the window whose past is as known at the cutoff, and whose labels are as known later, until `end`.

    Leaves out users without an event before the cutoff, and users that `later` lacks.
    """
    past = then.before(cutoff)
    past = past.of_users((past.event_counts_U() > 0) & np.isin(past.user_id_U, later.user_id_U))
    future = later.of_users(np.isin(later.user_id_U, past.user_id_U)).before(end).since(cutoff)
    vocabulary_T = np.union1d(past.tag_T, future.tag_T)
    return _label_window(past.with_vocabulary(vocabulary_T), future.with_vocabulary(vocabulary_T), cutoff, end)


def _label_window(past: History, future: History, cutoff: int, end: int) -> LabeledWindow:
    """Join past and future, which have the same users and tags in the same order."""
    popularity = fit_popularity(past, cutoff)
    own = own_tags(past)
    pairs = candidates(own, past.users, np.searchsorted(past.tag_T, popularity.popular_tags()))
    after = own_tags(future)
    touched = after.pairs
    return LabeledWindow(
        cutoff=cutoff,
        end=end,
        past=past,
        own=own,
        pairs=pairs,
        touched=touched,
        touches_P=np.bincount(after.pair_M, minlength=len(touched)),
        share_T=popularity.share_of(past.tag_T),
        is_touched_P=touched.find(pairs)[1],
        touched_tags_U=np.bincount(touched.user_P, minlength=past.users),
        has_returned_U=future.event_counts_U() > 0,
    )
