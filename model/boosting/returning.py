"""Whether a user comes back at all: boosted trees on recency, frequency and session counts.

Shape letters: U users, E events, S sessions of users, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xgboost

from model.boosting.trees import BoostingSettings, grow_trees, probability_N, training_rows
from model.data.arrays import Floats, sum_by_group
from model.data.days import DAYS_SEEN, MICROS_PER_DAY
from model.data.history import History, fading_E
from model.data.labels import LabeledWindow

HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)
# Counts without decay look back this far only, so that they do not grow with the age of the log.
LOOK_BACK_DAYS = 14
FEATURES = (
    "days_since_last_event",
    "days_since_first_event",
    *(f"log_events_{days:g}d" for days in HALF_LIVES_DAYS),
    *(f"log_sessions_{days:g}d" for days in HALF_LIVES_DAYS),
    "log_session_count",
    "days_with_an_event",
)


@dataclass(frozen=True, eq=False)
class Returning:
    """Fitted trees, or one share where all users of the training did the same."""

    trees: xgboost.Booster | None
    share: float  # of the users in training who came back

    def return_probability_U(self, past: History, cutoff: int) -> Floats:
        """Return the probability that each user has any event in the window after `cutoff`.

        past: nothing in it lies at `cutoff` or after. A user's probability does not depend on the other users.
        """
        if self.trees is None or not past.users:
            return np.full(past.users, self.share)
        return probability_N(self.trees, return_features_UF(past, cutoff))


@dataclass(frozen=True)
class ReturnBoosting:
    """The settings of the trees."""

    learning_rate: float = 0.05
    trees: int = 100
    leaves: int = 7
    least_weight_in_leaf: float = 5.0

    def fit(self, windows: Sequence[LabeledWindow]) -> Returning:
        """Fit to every user of every window; the windows have one length.

        Raises ValueError if the windows have no user.
        """
        users = sum(window.past.users for window in windows)
        if not users:
            raise ValueError(f"no user to fit a return to: found {len(windows)} windows with 0 users, expected one")
        has_returned_U = np.concatenate([window.has_returned_U for window in windows])
        share = float(has_returned_U.mean())
        if share in (0.0, 1.0):
            return Returning(None, share)
        settings = BoostingSettings(
            self.learning_rate, self.leaves, self.least_weight_in_leaf, penalty=0.0, trees=self.trees
        )
        features_UF = np.concatenate([return_features_UF(window.past, window.cutoff) for window in windows])
        return Returning(grow_trees(settings, training_rows(features_UF, has_returned_U)), share)


def return_features_UF(past: History, cutoff: int) -> Floats:
    """Return one row per user, columns as in FEATURES."""
    recent = past.since(cutoff - LOOK_BACK_DAYS * MICROS_PER_DAY)
    first_at_U = np.minimum(past.first_listed_at_U(), cutoff)
    day_E = (cutoff - 1 - recent.at_E) // MICROS_PER_DAY
    days = np.unique(recent.user_E * LOOK_BACK_DAYS + np.minimum(day_E, LOOK_BACK_DAYS - 1))
    return np.column_stack(
        [
            past.days_since_last_event_U(cutoff, at_most=DAYS_SEEN),
            np.minimum((cutoff - first_at_U) / MICROS_PER_DAY, LOOK_BACK_DAYS),
            *(np.log1p(sum_by_group(fading_E(past, cutoff, d), past.user_E, past.users)) for d in HALF_LIVES_DAYS),
            *(np.log1p(_sessions_U(past, cutoff, d)) for d in HALF_LIVES_DAYS),
            np.log1p(recent.session_counts_U()),
            np.bincount(days // LOOK_BACK_DAYS, minlength=past.users),
        ]
    )


def _sessions_U(past: History, cutoff: int, half_life_days: float) -> Floats:
    """Count each user's sessions, each fading by the age of its newest event."""
    session_S, place_E = np.unique(past.user_E * (len(past.session_id_S) + 1) + past.session_E, return_inverse=True)
    newest_S = np.zeros(len(session_S))
    np.maximum.at(newest_S, place_E, fading_E(past, cutoff, half_life_days))
    return sum_by_group(newest_S, session_S // (len(past.session_id_S) + 1), past.users)
