"""Another future for the same past: what the guard against peeking shows to contestants.

Shape letters: U users, E events, F events of the future (at the moment or later), M touches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import numpy as np

from model.arrays import AnyArray, Ints
from model.days import MICROS_PER_DAY, end_of_day
from model.evaluation.known import Known
from model.history import History

PLANTED_TAG = "\uffff planted by the referee"  # after all names, so that no code of another tag moves
KEPT_SHARE = 0.7
SEED = 20260201


def with_another_future(known: Known, cut: date) -> Known:
    """Return what would have been known if other things had happened after `cut`; the past is untouched.

    Of the events after it some are dropped, the others swap users and tags, and everybody touches a planted tag.
    """
    random = np.random.default_rng(SEED)
    return {day: _altered(history, end_of_day(cut), random) if day > cut else history for day, history in known.items()}


@contextmanager
def scribbled_over(known: Known, cut: date) -> Iterator[None]:
    """Shuffle the tags of all events after `cut` in place, and put them back at the end.

    For contestants that hold on to a History that the evaluation reads from, and look into it.
    """
    random = np.random.default_rng(SEED)
    moment = end_of_day(cut)
    kept = []
    for tag_M, is_future_M in {
        id(history.tag_M): (history.tag_M, history.at_E[history.event_M] >= moment) for history in known.values()
    }.values():
        kept.append((tag_M, tag_M.copy()))
        tag_M[is_future_M] = random.permutation(tag_M[is_future_M])
    try:
        yield
    finally:
        for tag_M, as_it_was_M in kept:
            tag_M[:] = as_it_was_M


def _altered(history: History, moment: int, random: np.random.Generator) -> History:
    past, future = history.before(moment), history.since(moment)
    kept_F = np.flatnonzero(random.uniform(size=len(future.at_E)) < KEPT_SHARE)
    is_kept_M = np.isin(future.event_M, kept_F)
    planted_U = np.arange(history.users)
    planted_session = len(history.session_id_S)
    # Past, what is kept, what is planted: laid end to end, then sorted as a History is.
    user_E = np.concatenate([past.user_E, random.permutation(future.user_E[kept_F]), planted_U])
    at_E = np.concatenate([past.at_E, future.at_E[kept_F], _soon_after(moment, history.users, random)])
    event_M = np.concatenate(
        [
            past.event_M,
            len(past.at_E) + np.searchsorted(kept_F, future.event_M[is_kept_M]),
            len(past.at_E) + len(kept_F) + planted_U,
        ]
    )
    tag_M = np.concatenate(
        [past.tag_M, random.permutation(future.tag_M[is_kept_M]), np.full(history.users, len(history.tag_T))]
    )
    order_E = np.lexsort((at_E, user_E))
    place_E = np.empty(len(order_E), np.int64)
    place_E[order_E] = np.arange(len(order_E))
    order_M = np.argsort(place_E[event_M], kind="stable")

    def laid(past_E: AnyArray, future_E: AnyArray, planted: float) -> AnyArray:
        return np.concatenate([past_E, future_E[kept_F], np.full(history.users, planted, past_E.dtype)])[order_E]

    return replace(
        history,
        event_count_U=history.event_count_U + random.integers(1, 50, history.users),
        last_event_at_U=_soon_after(moment, history.users, random),
        user_E=user_E[order_E],
        at_E=at_E[order_E],
        weight_E=laid(past.weight_E, future.weight_E, 1.0),
        item_E=laid(past.item_E, future.item_E, 1),
        session_E=laid(past.session_E, future.session_E, planted_session),
        action_E=laid(past.action_E, future.action_E, 0),
        event_M=place_E[event_M][order_M],
        tag_M=tag_M[order_M],
        tag_T=np.append(history.tag_T, PLANTED_TAG),
        session_id_S=np.append(history.session_id_S, PLANTED_TAG),
    )


def _soon_after(moment: int, users: int, random: np.random.Generator) -> Ints:
    """Draw a moment within a day after `moment` for each user, that moment included."""
    return moment + random.integers(0, MICROS_PER_DAY, users)
