"""Perturbed histories of the same users, which show how much a trained network uses sessions.

A session is a run of a user's events with one `session_E`, as the network reads them.

Shape letters: U users, E events, M touches, S sessions (of users, oldest first), N events of the altered history.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from model.data.arrays import Bools, Ints
from model.data.history import History

Perturbed = Callable[[History], History]


@dataclass(frozen=True, eq=False)
class Sessions:
    """Where the sessions of a history begin and end."""

    session_E: Ints  # counted over all users
    first_S: Ints  # events
    last_S: Ints
    user_S: Ints
    newest_U: Ints  # session; -1 for a user without one

    @classmethod
    def of(cls, history: History) -> "Sessions":
        is_first_E = _is_first(history.user_E, history.session_E)
        first_S = np.flatnonzero(is_first_E)
        last_S = np.append(first_S[1:], len(is_first_E)) - 1
        user_S = history.user_E[first_S]
        newest_U = np.searchsorted(user_S, np.arange(history.users), side="right") - 1
        newest_U[history.event_counts_U() == 0] = -1
        return cls(np.cumsum(is_first_E) - 1, first_S, last_S, user_S, newest_U)

    def back_S(self) -> Ints:
        """Count the sessions of the same user after each; 0 for the newest."""
        return self.newest_U[self.user_S] - np.arange(len(self.user_S))


def last_sessions(history: History, count: int) -> History:
    """Return the same users with their `count` newest sessions only."""
    sessions = Sessions.of(history)
    return _of_events(history, np.flatnonzero((sessions.back_S() < count)[sessions.session_E]))


def sessions_shuffled(history: History, random: np.random.Generator) -> History:
    """Shuffle the sessions of each user; each keeps its events and their distances in time.

    The first and the last moment stay the same, and so do the lengths of the pauses, in their order.
    """
    sessions = Sessions.of(history)
    count = len(sessions.user_S)
    order_S = np.lexsort((random.uniform(size=count), sessions.user_S))  # which session comes at each place
    start_S, end_S = history.at_E[sessions.first_S], history.at_E[sessions.last_S]
    is_first_S = np.diff(sessions.user_S, prepend=-1) != 0
    pause_S = np.where(is_first_S, 0, start_S - np.roll(end_S, 1))
    length_S = (end_S - start_S)[order_S]
    # From the user's first event: all pauses up to the session, all lengths before it.
    past_S = np.cumsum(pause_S + length_S) - length_S
    first_of_user_S = np.maximum.accumulate(np.where(is_first_S, np.arange(count), 0))
    begins_S = start_S[first_of_user_S] + past_S - past_S[first_of_user_S]
    moved_S = np.empty(count, np.int64)
    moved_S[order_S] = begins_S - start_S[order_S]
    at_E = history.at_E + moved_S[sessions.session_E]
    event_N = np.concatenate([np.empty(0, np.int64), *_events_of(sessions, order_S)])
    return _laid(history, event_N, history.user_E[event_N], at_E[event_N], sessions.session_E[event_N])


def boundaries_at_random(history: History, random: np.random.Generator) -> History:
    """Split the events of each user at random into as many sessions as before."""
    sessions = Sessions.of(history)
    sessions_U = np.bincount(sessions.user_S, minlength=history.users)
    is_first_of_user_E = np.diff(history.user_E, prepend=-1) != 0
    chance_E = np.where(is_first_of_user_E, -1.0, random.uniform(size=len(history.user_E)))
    order_E = np.lexsort((chance_E, history.user_E))
    begun_U = np.searchsorted(history.user_E, np.arange(history.users))
    place_E = np.empty(len(order_E), np.int64)
    place_E[order_E] = np.arange(len(order_E)) - begun_U[history.user_E[order_E]]
    session_E = np.cumsum(place_E < sessions_U[history.user_E]) - 1
    events = np.arange(len(history.user_E))
    return _laid(history, events, history.user_E, history.at_E, session_E)


def others_past(history: History, random: np.random.Generator, keeps_own: bool) -> History:
    """Insert the old sessions of another user, all but the newest, before the user's own.

    They move in time as a whole, so that the other's newest session would begin when the following session of the user
    begins. With `keeps_own` this is the user's oldest session, else the newest, and the others are dropped.
    """
    sessions = Sessions.of(history)
    known_U = np.flatnonzero(sessions.newest_U >= 0)
    ring = random.permutation(known_U)
    giver_U = np.full(history.users, -1)
    giver_U[ring] = np.roll(ring, 1)
    taker_U = np.full(history.users, -1)
    taker_U[np.roll(ring, 1)] = ring
    back_E = sessions.back_S()[sessions.session_E]
    own = np.flatnonzero((back_E == 0) | keeps_own)
    lent = np.flatnonzero(back_E > 0)
    begins_U = np.zeros(history.users, np.int64)  # of the session that the pasted ones stand before
    begins_U[history.user_E[own][::-1]] = history.at_E[own][::-1]
    newest_begins_U = np.zeros(history.users, np.int64)
    newest_begins_U[known_U] = history.at_E[sessions.first_S[sessions.newest_U[known_U]]]
    to_N = taker_U[history.user_E[lent]]
    at_N = history.at_E[lent] - newest_begins_U[history.user_E[lent]] + begins_U[to_N]
    return _laid(
        history,
        np.concatenate([lent, own]),
        np.concatenate([to_N, history.user_E[own]]),
        np.concatenate([at_N, history.at_E[own]]),
        np.concatenate([sessions.session_E[lent], sessions.session_E[own]]),
    )


def perturbations(random: np.random.Generator) -> Mapping[str, Perturbed]:
    """Return the perturbations by name, for a network that was trained on whole histories."""
    return {
        **{f"last {count} sessions" if count > 1 else "last session": _last(count) for count in (1, 2, 4, 8)},
        "order of sessions shuffled": partial(sessions_shuffled, random=random),
        "boundaries at random": partial(boundaries_at_random, random=random),
        "somebody else's old sessions before one's own": partial(others_past, random=random, keeps_own=True),
        "somebody else's old sessions instead of one's own": partial(others_past, random=random, keeps_own=False),
    }


def _last(count: int) -> Perturbed:
    return partial(last_sessions, count=count)


def _is_first(user_N: Ints, session_N: Ints) -> Bools:
    is_first_N = np.ones(len(user_N), bool)
    is_first_N[1:] = (np.diff(user_N) != 0) | (np.diff(session_N) != 0)
    return is_first_N


def _events_of(sessions: Sessions, order_S: Ints) -> list[Ints]:
    return [np.arange(sessions.first_S[one], sessions.last_S[one] + 1) for one in order_S]


def _of_events(history: History, event_N: Ints) -> History:
    return _laid(history, event_N, history.user_E[event_N], history.at_E[event_N], history.session_E[event_N])


def _laid(history: History, event_N: Ints, user_N: Ints, at_N: Ints, session_N: Ints) -> History:
    """Return a history of copies of events, each with the given user, moment and session.

    session_N: rises in time within a user. Sessions are numbered again.
    """
    order_N = np.lexsort((np.arange(len(event_N)), at_N, user_N))
    event_N, user_N, at_N, session_N = event_N[order_N], user_N[order_N], at_N[order_N], session_N[order_N]
    is_first_N = _is_first(user_N, session_N)
    touch_M = np.argsort(history.event_M, kind="stable")
    begun_E = np.searchsorted(history.event_M[touch_M], np.arange(len(history.user_E) + 1))
    touches_N = np.diff(begun_E)[event_N]
    event_M = np.repeat(np.arange(len(event_N)), touches_N)
    nth_M = np.arange(len(event_M)) - np.repeat(np.cumsum(touches_N) - touches_N, touches_N)
    last_at_U = history.last_event_at_U.copy()
    last_at_U[user_N] = at_N  # rising, so that the newest stands
    return replace(
        history,
        event_count_U=np.bincount(user_N, minlength=history.users),
        last_event_at_U=last_at_U,
        user_E=user_N,
        at_E=at_N,
        weight_E=history.weight_E[event_N],
        item_E=history.item_E[event_N],
        session_E=np.cumsum(is_first_N) - 1,
        action_E=history.action_E[event_N],
        event_M=event_M,
        tag_M=history.tag_M[touch_M[begun_E[event_N[event_M]] + nth_M]],
        session_id_S=history.session_id_S[history.session_E[event_N[is_first_N]]],
    )
