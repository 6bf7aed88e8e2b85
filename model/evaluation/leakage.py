"""Leakage checks, run on every model of every evaluation.

A model must not depend on events after the cutoff, and a user's scores must not depend on the other users.

Shape letters: U users, T tags, E events, F future events (at the cutoff moment or later), M touches.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import numpy as np

from model.data.arrays import AnyArray, Bools, Floats, Ints
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.folds import Histories, history_at
from model.data.history import History
from model.data.users import lowest_hash_users_U
from model.errors import ModelError
from model.interfaces import FittedModel

PLANTED_TAG = "\uffff planted by the leakage check"  # sorts last, so that no code of another tag changes
KEPT_SHARE = 0.7
SEED = 20260201


def with_perturbed_future(histories: Histories, cutoff: date) -> Histories:
    """Return the histories with other events after `cutoff`; the past is unchanged.

    Of the later events some are dropped, the others swap users and tags, and each user touches a planted tag.
    """
    random = np.random.default_rng(SEED)
    return {
        day: _perturbed(history, end_of_day(cutoff), random) if day > cutoff else history
        for day, history in histories.items()
    }


@contextmanager
def shuffled_in_place(histories: Histories, cutoff: date) -> Iterator[None]:
    """Shuffle the tags of all events after `cutoff` in place, and restore them at the end.

    This detects a model that keeps a reference to a History of the evaluation and reads later events from it.
    """
    random = np.random.default_rng(SEED)
    moment = end_of_day(cutoff)
    kept = []
    for tag_M, is_future_M in {
        id(history.tag_M): (history.tag_M, history.at_E[history.event_M] >= moment) for history in histories.values()
    }.values():
        kept.append((tag_M, tag_M.copy()))
        tag_M[is_future_M] = random.permutation(tag_M[is_future_M])
    try:
        yield
    finally:
        for tag_M, as_it_was_M in kept:
            tag_M[:] = as_it_was_M


def _perturbed(history: History, moment: int, random: np.random.Generator) -> History:
    past, future = history.before(moment), history.since(moment)
    kept_F = np.flatnonzero(random.uniform(size=len(future.at_E)) < KEPT_SHARE)
    is_kept_M = np.isin(future.event_M, kept_F)
    planted_U = np.arange(history.users)
    planted_session = len(history.session_id_S)
    # Past, kept and planted events are concatenated, then sorted as a History is.
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


CHECKED_USERS = 2_000  # of the lowest hashes: a leak shows on them as well as on all
USERS_AT_ONCE = 200
USERS_ALONE = 3
REPEAT_TOLERANCE = 1e-9  # relative: threads may sum in another order
BATCH_TOLERANCE = 1e-4  # single precision sums differ with the size of a batch


class LeakError(ModelError):
    """A model depends on data that it must not see, so its figures are invalid. A retry does not help."""

    exit_code = 1


def require_no_future_leak(
    name: str, fit: Callable[[Histories], FittedModel], histories: Histories, cutoff: date
) -> None:
    """Raise LeakError if other events after `cutoff` change the scores of a model at the cutoff.

    The model is fitted twice, to the histories of 2,000 users and to the same with another future. For the second fit
    the tags of future events are also shuffled in `histories` in place, so that a model that keeps a reference to these
    arrays sees them change. A copy made before this call goes undetected.

    fit: fits the model at the cutoff as the evaluation does, or with less training (`Model.for_leakage_check`).
    """
    some = {day: _of_lowest_hash(history, CHECKED_USERS) for day, history in histories.items()}
    past = _of_lowest_hash(history_at(some, cutoff), USERS_AT_ONCE)
    predicted_UT = fit(some).scores_UT(past).copy()
    with shuffled_in_place(histories, cutoff):
        again_UT = fit(with_perturbed_future(some, cutoff)).scores_UT(past)
    changed = int((~_equal(predicted_UT, again_UT, REPEAT_TOLERANCE)).any(axis=1).sum())
    if changed:
        raise LeakError(
            f"{name} has seen the future: its scores as of {cutoff} changed for {changed} of {past.users} users when "
            f"only events after that day were changed; expected no change. Fit it to the TrainingData it is given and "
            f"to nothing else; if it does so already, it is not repeatable: fix its seeds and threads"
        )


def require_batch_independence(name: str, model: FittedModel, past: History, tolerance: float) -> None:
    """Raise LeakError if the scores of a user depend on the other users in the batch.

    tolerance: absolute plus relative difference of a score.
    """
    batch = _of_lowest_hash(past, USERS_AT_ONCE)
    together_UT = model.scores_UT(batch)
    for user in range(min(USERS_ALONE, batch.users)):
        alone_UT = model.scores_UT(batch.of_users(np.arange(batch.users) == user))
        gap = float(np.abs(alone_UT - together_UT[[user]]).max(initial=0.0))
        if not _equal(alone_UT, together_UT[[user]], tolerance).all():
            raise LeakError(
                f"{name} has other scores for a user alone than for the same user among {batch.users}: they differ by "
                f"up to {gap:.2g}, expected {tolerance:.2g} at most. What depends on other users belongs in fit, never "
                f"in scores_UT"
            )


def _equal(one_UT: Floats, other_UT: Floats, tolerance: float) -> Bools:
    return np.isclose(one_UT, other_UT, rtol=tolerance, atol=tolerance)


def _of_lowest_hash(history: History, at_most: int) -> History:
    return history.of_users(lowest_hash_users_U(history.user_id_U, at_most))
