"""The features of boosting-1, for each pair of a user and a candidate tag.

Shape letters: U users, P pairs of user and tag, O own pairs (touched ones), T tags, E events, M touches, F features.
"""

from collections.abc import Sequence

import numpy as np

from model.counts.features import count
from model.data.arrays import Bools, Floats, Ints, sum_by_group
from model.data.days import DAYS_SEEN, MICROS_PER_DAY
from model.data.history import History, fading_E
from model.data.labels import LabeledWindow
from model.data.pairs import OwnTags, Pairs, own_tags

HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)
HALF_LIVES_BY_ACTION_DAYS = (2.0, 14.0)
# Counts without decay look back this far only. Otherwise they would grow with the age of the log, and a model trained
# on a young log would be wrong on an older one.
LOOK_BACK_DAYS = 14
MAX_ACTIONS = 8
OF_THE_PAIR = (
    "is_own",
    "days_since_last_touch",
    "days_since_first_touch",
    "log_sessions_with_tag",
    "log_days_with_tag",
    "share_of_own_count",
    "share_of_strongest_count",
)
OF_THE_TAG = ("log_popularity",)
OF_THE_USER = (
    "days_since_last_event",
    "days_since_first_event",
    "log_session_count",
    "log_own_tag_count",
)


def usual_actions(windows: Sequence[LabeledWindow]) -> tuple[str, ...]:
    """Name the most frequent actions before the cutoffs of the windows, most frequent first."""
    names = np.concatenate([window.past.action_A[window.past.action_E] for window in windows])
    action_A, events_A = np.unique(names, return_counts=True)
    return tuple(str(action) for action in action_A[np.lexsort((action_A, -events_A))][:MAX_ACTIONS])


def feature_names(actions: tuple[str, ...]) -> tuple[str, ...]:
    """Name the columns of `features_PF`."""
    return (
        *(f"log_own_count_{days:g}d" for days in HALF_LIVES_DAYS),
        *(f"log_activity_{days:g}d" for days in HALF_LIVES_DAYS),
        *(f"log_{action}_count_{days:g}d" for action in actions for days in HALF_LIVES_BY_ACTION_DAYS),
        *OF_THE_PAIR,
        *OF_THE_TAG,
        *OF_THE_USER,
    )


def features_PF(
    history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int, actions: tuple[str, ...]
) -> Floats:
    """Return one row per pair, columns as in `feature_names`. A user's rows depend on that user and the shares only.

    history: all its events lie before `moment`. own: that of the history. share_T: popularity, no share may be 0.
    actions: those with a count of their own; the others count in the sums over all actions.
    """
    user_P = pairs.user_P
    by_half_life = [count(history, own, pairs, moment, days) for days in HALF_LIVES_DAYS]
    columns = [
        *(np.log1p(counts.count_P) for counts in by_half_life),
        *(np.log1p(counts.activity_U)[user_P] for counts in by_half_life),
        *_by_action(history, own, pairs, moment, actions),
        *_of_the_pair(history, own, pairs, moment),
        np.log(share_T)[pairs.tag_P],
        *(value_U[user_P] for value_U in _of_the_user(history, moment)),
    ]
    return np.column_stack(columns)


def _by_action(history: History, own: OwnTags, pairs: Pairs, moment: int, actions: tuple[str, ...]) -> list[Floats]:
    known = {str(action): code for code, action in enumerate(history.action_A)}
    fading_by_half_life = [fading_E(history, moment, days) for days in HALF_LIVES_BY_ACTION_DAYS]
    columns = []
    for action in actions:
        is_action_E = history.action_E == known.get(action, -1)
        for faded_E in fading_by_half_life:
            weight_E = faded_E * is_action_E
            columns.append(_of_pairs(np.log1p(own.sum_over_touches(weight_E[history.event_M])), own, pairs, 0.0))
    return columns


def _of_the_pair(history: History, own: OwnTags, pairs: Pairs, moment: int) -> list[Floats]:
    """Return the columns OF_THE_PAIR; a pair never touched was touched longest ago."""
    days_ago_M = (moment - history.at_E[history.event_M]) / MICROS_PER_DAY
    last_O = np.full(len(own.pairs), float(DAYS_SEEN))
    np.minimum.at(last_O, own.pair_M, days_ago_M)
    first_O = np.zeros(len(own.pairs))
    np.maximum.at(first_O, own.pair_M, np.minimum(days_ago_M, LOOK_BACK_DAYS))
    lasting_O = own.sum_over_touches((history.weight_E * fading_E(history, moment, 7.0))[history.event_M])
    of_user_O = own.pairs.user_P
    strongest_U = np.zeros(history.users)
    np.maximum.at(strongest_U, of_user_O, lasting_O)
    is_recent_M = days_ago_M <= LOOK_BACK_DAYS
    day_M = np.floor(np.minimum(days_ago_M, LOOK_BACK_DAYS)).astype(np.int64)
    values_O = (
        (np.ones(len(own.pairs)), 0.0),
        (last_O, float(DAYS_SEEN)),
        (first_O, float(LOOK_BACK_DAYS)),
        (np.log1p(_distinct_of_touches(own, history.session_E[history.event_M], is_recent_M)), 0.0),
        (np.log1p(_distinct_of_touches(own, day_M, is_recent_M)), 0.0),
        (_share(lasting_O, sum_by_group(lasting_O, of_user_O, history.users)[of_user_O]), 0.0),
        (_share(lasting_O, strongest_U[of_user_O]), 0.0),
    )
    return [_of_pairs(value_O, own, pairs, otherwise) for value_O, otherwise in values_O]


def _of_the_user(history: History, moment: int) -> list[Floats]:
    """Return the columns OF_THE_USER, one value a user."""
    recent = history.since(moment - LOOK_BACK_DAYS * MICROS_PER_DAY)
    first_at_U = np.minimum(history.first_listed_at_U(), moment)
    return [
        history.days_since_last_event_U(moment, at_most=DAYS_SEEN),
        np.minimum((moment - first_at_U) / MICROS_PER_DAY, LOOK_BACK_DAYS),
        np.log1p(recent.session_counts_U()),
        np.log1p(np.bincount(own_tags(recent).pairs.user_P, minlength=history.users)),
    ]


def _distinct_of_touches(own: OwnTags, item_M: Ints, is_counted_M: Bools) -> Floats:
    """Count the distinct items of the counted touches of each own pair."""
    items = int(item_M.max(initial=0)) + 1
    cells = np.unique((own.pair_M * items + item_M)[is_counted_M])
    return np.bincount(cells // items, minlength=len(own.pairs)).astype(np.float64)


def _share(part_O: Floats, whole_O: Floats) -> Floats:
    return np.divide(part_O, whole_O, out=np.zeros_like(part_O), where=whole_O > 0)


def _of_pairs(value_O: Floats, own: OwnTags, pairs: Pairs, otherwise: float) -> Floats:
    """Return the value of each of `pairs`, `otherwise` for one never touched."""
    at_P, is_own_P = own.pairs.find(pairs)
    value_P = np.full(len(pairs), otherwise)
    value_P[is_own_P] = value_O[at_P[is_own_P]]
    return value_P
