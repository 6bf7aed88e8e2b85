"""Kinds of users, by what was known of them at the cut, and of answers: returned to or new.

Shape letters: U users, H answers.
"""

import numpy as np

from model.arrays import Bools, Floats, Ints
from model.counts.pairs import own_tags
from model.evaluation.exam import Exam
from model.history import History

COLD_EVENTS = 3  # a user of one session with fewer is cold; nobody without an event is asked about


def cohorts(past: History) -> dict[str, Bools]:
    """Return who belongs to which cohort, each user to one, by sessions among the listed events.

    cold: one session of fewer than 3 events. 1 session: of 3 events or more.
    """
    sessions_U, events_U = past.session_counts_U(), past.event_counts_U()
    is_cold_U = (sessions_U <= 1) & (events_U < COLD_EVENTS)
    return {
        "cold": is_cold_U,
        "1 session": (sessions_U <= 1) & ~is_cold_U,
        "2–4 sessions": (sessions_U >= 2) & (sessions_U <= 4),
        "5–9 sessions": (sessions_U >= 5) & (sessions_U <= 9),
        "10+ sessions": sessions_U >= 10,
    }


def repeat_and_new_recall(exam: Exam, place_H: Ints, depth: int) -> tuple[Floats, Floats]:
    """Return the share of each user's answers among the `depth` strongest tags, of tags touched before and of others.

    Tags that nobody had touched before are new. nan for a user without an answer of the kind.
    """
    own = own_tags(exam.asked).pairs
    is_repeat_H = np.isin(exam.user_H * exam.tags + exam.tag_H, own.key_P)
    is_found_H = place_H < depth
    repeats_U = np.bincount(exam.user_H[is_repeat_H], minlength=exam.users)
    return (
        _share(exam.user_H[is_repeat_H & is_found_H], repeats_U),
        _share(exam.user_H[~is_repeat_H & is_found_H], exam.answers_U - repeats_U),
    )


def _share(user_of_found: Ints, whole_U: Ints) -> Floats:
    found_U = np.bincount(user_of_found, minlength=len(whole_U))
    share_U: Floats = np.full(len(whole_U), np.nan)
    np.divide(found_U, whole_U, out=share_U, where=whole_U > 0)
    return share_U
