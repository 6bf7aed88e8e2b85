"""Interactions of users with items or tags, in order of time. In this folder an item may be a tag.

Shape letters: N events (a user's together, oldest first), U users.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from model.data.arrays import Bools, Ints
from model.data.history import History


@dataclass(frozen=True, eq=False)
class Interactions:
    """One event per interaction with one item; an item is a code from 0 to `items` - 1."""

    users: int
    items: int
    user_N: Ints
    item_N: Ints
    at_N: Ints  # moment, or the position in the user's order where no time is known
    session_N: Ints  # rises within a user; of one user only

    def events_before_N(self) -> Ints:
        """Count the events of the same user before each."""
        starts = np.flatnonzero(np.diff(self.user_N, prepend=-1))
        lengths = np.diff(starts, append=len(self.user_N))
        return np.arange(len(self.user_N)) - np.repeat(starts, lengths)

    def events_after_N(self) -> Ints:
        """Count the events of the same user after each; 0 for the newest."""
        length_U = np.bincount(self.user_N, minlength=self.users)
        return length_U[self.user_N] - 1 - self.events_before_N()

    def of_events(self, is_kept_N: Bools) -> "Interactions":
        """Return the same users with only some events."""
        return replace(
            self,
            user_N=self.user_N[is_kept_N],
            item_N=self.item_N[is_kept_N],
            at_N=self.at_N[is_kept_N],
            session_N=self.session_N[is_kept_N],
        )

    def batches(self, users_at_once: int) -> Iterator["Interactions"]:
        """Yield batches of `users_at_once` users in their order; the users of each batch count from 0."""
        for first in range(0, self.users, users_at_once):
            users = min(users_at_once, self.users - first)
            is_of_batch_N = (self.user_N >= first) & (self.user_N < first + users)
            some = self.of_events(is_of_batch_N)
            yield replace(some, users=users, user_N=some.user_N - first)


def tag_interactions(history: History) -> Interactions:
    """Return the tags of each user's events as items; the tags of one event are ordered by name."""
    order_M = np.lexsort((history.tag_M, history.event_M))
    event_N = history.event_M[order_M]
    return Interactions(
        users=history.users,
        items=len(history.tag_T),
        user_N=history.user_E[event_N],
        item_N=history.tag_M[order_M],
        at_N=history.at_E[event_N],
        session_N=history.session_E[event_N],
    )
