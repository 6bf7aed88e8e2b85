"""What no contestant may do: know the future, or answer about a user differently in other company.

Run on every contestant of every evaluation. Shape letters: U users, T tags.
"""

from collections.abc import Callable
from datetime import date

import numpy as np

from model.arrays import Bools, Floats
from model.errors import ModelError
from model.evaluation.altered import scribbled_over, with_another_future
from model.evaluation.contestant import Ranker
from model.evaluation.exam import known_at
from model.evaluation.known import Known
from model.history import History
from model.user_hash import stable_hash

GUARDED_USERS = 2_000  # of the lowest hash: a leak shows on them as well as on all
ASKED_AT_ONCE = 200
ASKED_ALONE = 3
SAME = 1e-9  # relative: threads may add in another order
ALONE_AS_IN_COMPANY = 1e-4  # single precision adds up differently in batches of another size


class LeakError(ModelError):
    """A contestant knows what it cannot know; its figures are worth nothing. Trying again cannot help."""

    exit_code = 1


def require_blind_to_the_future(name: str, prepare: Callable[[Known], Ranker], known: Known, cut: date) -> None:
    """Raise LeakError if other events after `cut` change what a contestant says as of it.

    It is prepared twice, from what is known of 2,000 users and from the same with another future. Meanwhile the tags
    of future events are also shuffled in `known` itself, in place: a contestant that keeps a hold on these arrays
    instead of using what it is given sees them change. What it copied before it came here, no guard can see.

    prepare: from what is known to what the contestant is at the cut; it must be the way that the evaluation goes, if
    for a dear contestant with less learning, see `CostlyContestant`.
    """
    some = {day: _lowest_hashes(history, GUARDED_USERS) for day, history in known.items()}
    past = _lowest_hashes(known_at(some, cut), ASKED_AT_ONCE)
    told_UT = prepare(some).strength_UT(past).copy()
    with scribbled_over(known, cut):
        again_UT = prepare(with_another_future(some, cut)).strength_UT(past)
    changed = int((~_equal(told_UT, again_UT, SAME)).any(axis=1).sum())
    if changed:
        raise LeakError(
            f"{name} has seen the future: what it says as of {cut} changed for {changed} of {past.users} users when "
            f"nothing but events after that day was changed; expected no change. Learn from the lessons and the past "
            f"given to prepare and from nothing else; if it does, it is not repeatable: fix its seeds and threads"
        )


def require_alone_as_in_company(name: str, ranker: Ranker, past: History, tolerance: float) -> None:
    """Raise LeakError if what a Ranker says of a user depends on who else is asked about.

    tolerance: of a strength, relative where it is above 1.
    """
    company = _lowest_hashes(past, ASKED_AT_ONCE)
    together_UT = ranker.strength_UT(company)
    for user in range(min(ASKED_ALONE, company.users)):
        alone_UT = ranker.strength_UT(company.of_users(np.arange(company.users) == user))
        gap = float(np.abs(alone_UT - together_UT[[user]]).max(initial=0.0))
        if not _equal(alone_UT, together_UT[[user]], tolerance).all():
            raise LeakError(
                f"{name} says something else of a user asked about alone than of the same user among "
                f"{company.users}: strengths differ by up to {gap:.2g}, expected {tolerance:.2g} at most. What "
                f"depends on the crowd is for prepare, never for strength_UT"
            )


def _equal(one_UT: Floats, other_UT: Floats, tolerance: float) -> Bools:
    return np.isclose(one_UT, other_UT, rtol=tolerance, atol=tolerance)


def _lowest_hashes(history: History, at_most: int) -> History:
    """Return the users of the lowest hashes, the same ones on every day."""
    if history.users <= at_most:
        return history
    hash_U = stable_hash(history.user_id_U)
    is_kept_U = np.zeros(history.users, dtype=bool)
    is_kept_U[np.argsort(hash_U, kind="stable")[:at_most]] = True
    return history.of_users(is_kept_U)
