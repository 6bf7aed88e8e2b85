"""Predictors of who returns, compared by the area under the ROC curve. Shape letter: U users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sklearn.metrics import roc_auc_score

from model.counts.features import count, return_features_UF
from model.counts.model import Counts1Parameters, fit_parameters
from model.data.arrays import Floats
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.pairs import own_tags
from model.evaluation.holdout import TestSet


class Returning(Protocol):
    """A method to predict whether a user has any event in the window after a cutoff."""

    def fit(self, windows: Sequence[LabeledWindow]) -> "FittedReturning":
        """Fit to windows that have ended, oldest first."""


class FittedReturning(Protocol):
    """A fitted predictor."""

    def return_probability_U(self, past: History, cutoff: int) -> Floats:
        """Return the probability of each user, or a monotonic score.

        past: no event at the moment `cutoff` or after it.
        """


@dataclass(frozen=True)
class CountsReturning:
    """The return probability of counts-1, fitted to the newest window as in every night."""

    def fit(self, windows: Sequence[LabeledWindow]) -> "FittedCountsReturning":
        return FittedCountsReturning(fit_parameters(windows[-1]))


@dataclass(frozen=True, eq=False)
class FittedCountsReturning:
    """The formula of counts-1."""

    fitted: Counts1Parameters

    def return_probability_U(self, past: History, cutoff: int) -> Floats:
        own = own_tags(past)
        counts = count(past, own, own.pairs, cutoff, self.fitted.half_life_days)
        return self.fitted.returning.probability_N(return_features_UF(past, counts))


def best_returning(grid: Sequence[Returning], windows: Sequence[LabeledWindow], validation: TestSet) -> Returning:
    """Return the setting of the highest AUC at the validation cutoff, the first of equals.

    windows: those that ended by that cutoff. Raises ValueError if the grid is empty.
    """
    if not grid:
        raise ValueError("empty grid: found no setting to try, expected one at least")
    return max(grid, key=lambda one: np.nan_to_num(return_auc(one, windows, validation), nan=-1.0))


def return_auc(returning: Returning, windows: Sequence[LabeledWindow], test_set: TestSet) -> float:
    """Fit to `windows` and return the AUC on the test set, 0 to 1; nan if all users or none returned."""
    has_returned_U = test_set.has_returned_U
    if has_returned_U.all() or not has_returned_U.any():
        return float("nan")
    fitted = returning.fit(windows)
    return float(roc_auc_score(has_returned_U, fitted.return_probability_U(test_set.past, test_set.moment)))
