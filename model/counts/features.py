"""The features of counts-1.

Shape letters: U users, P pairs of user and tag, T tags, F features, M touches.
"""

from dataclasses import dataclass

import numpy as np

from model.data.arrays import Bools, Floats, sum_by_group
from model.data.days import DAYS_SEEN, MICROS_PER_DAY
from model.data.history import History, decayed_weight_E, fading_E
from model.data.pairs import OwnTags, Pairs

AFFINITY_FEATURES = (
    "log_own_count",
    "log_own_days",
    "is_own",
    "log_popularity_of_own",
    "log_popularity_of_others",
    "log_activity",
    "days_since_last_event",
)
HALF_LIFE_OF_DAYS = 14.0  # habits last longer than what the counts show
RETURN_FEATURES = ("log_activity", "days_since_last_event", "log_session_count", "log_event_count")


@dataclass(frozen=True, eq=False)
class Counts:
    """Decayed counts of a history as of a moment."""

    count_P: Floats  # decayed weight of the user's touches of the tag
    is_own_P: Bools
    activity_U: Floats  # decayed weight of all the user's events
    days_since_last_event_U: Floats


def count(history: History, own: OwnTags, pairs: Pairs, moment: int, half_life_days: float) -> Counts:
    """Return the counts for each of `pairs`; `own` is that of `history`, all of whose events lie before `moment`."""
    weight_E = decayed_weight_E(history, moment, half_life_days)
    own_count = own.sum_over_touches(weight_E[history.event_M])
    at_P, is_own_P = own.pairs.find(pairs)
    count_P = np.zeros(len(pairs))
    count_P[is_own_P] = own_count[at_P[is_own_P]]
    return Counts(
        count_P=count_P,
        is_own_P=is_own_P,
        activity_U=sum_by_group(weight_E, history.user_E, history.users),
        days_since_last_event_U=history.days_since_last_event_U(moment, at_most=DAYS_SEEN),
    )


def count_days_P(history: History, own: OwnTags, pairs: Pairs, moment: int) -> Floats:
    """Count the days on which the user touched the tag, each decayed by its newest touch. Arguments as for `count`.

    A day is 24 hours, counted back from the moment. Many touches of one day show less of a habit than one on each day.
    """
    day_M = ((moment - 1 - history.at_E) // MICROS_PER_DAY)[history.event_M]
    days = int(day_M.max(initial=0)) + 1
    cell, cell_M = np.unique(own.pair_M * days + day_M, return_inverse=True)
    newest = np.zeros(len(cell))
    np.maximum.at(newest, cell_M, fading_E(history, moment, HALF_LIFE_OF_DAYS)[history.event_M])
    own_days = sum_by_group(newest, cell // days, len(own.pairs))
    at_P, is_own_P = own.pairs.find(pairs)
    days_P = np.zeros(len(pairs))
    days_P[is_own_P] = own_days[at_P[is_own_P]]
    return days_P


def affinity_features_PF(counts: Counts, days_P: Floats, pairs: Pairs, share_T: Floats) -> Floats:
    """Return one row per pair, columns as in AFFINITY_FEATURES. days_P: of `count_days_P`. No share may be 0."""
    user_P = pairs.user_P
    log_share_P = np.log(share_T)[pairs.tag_P]
    return np.column_stack(
        [
            np.log1p(counts.count_P),
            np.log1p(days_P),
            counts.is_own_P.astype(np.float64),
            np.where(counts.is_own_P, log_share_P, 0.0),
            np.where(counts.is_own_P, 0.0, log_share_P),
            np.log1p(counts.activity_U)[user_P],
            counts.days_since_last_event_U[user_P],
        ]
    )


def return_features_UF(history: History, counts: Counts) -> Floats:
    """Return one row per user, columns as in RETURN_FEATURES."""
    return np.column_stack(
        [
            np.log1p(counts.activity_U),
            counts.days_since_last_event_U,
            np.log1p(history.session_counts_U()),
            np.log1p(history.event_counts_U()),
        ]
    )
