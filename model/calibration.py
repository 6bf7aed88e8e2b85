"""Calibration: logistic regression (Platt) as a formula, and isotonic regression as knots.

Both are fitted by scikit-learn and kept as plain numbers.

Shape letters: N examples, F features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

from model.data.arrays import Bools, Floats
from model.metrics import equal_mass_bins

BINS = 50
# The matrices are tall and narrow: threads that share one wait for each other, at twice the processor time.
BLAS = ThreadpoolController().select(internal_api="openblas")


@dataclass(frozen=True)
class LogisticFormula:
    """p = 1 / (1 + exp(-(intercept + sum of coefficient times feature)))

    windows: p is of a window of time; with more than one, the probability is that it comes true in at least one of so
    many windows, as if they were independent: 1 - (1 - p)^windows.
    """

    intercept: float
    coefficients: Mapping[str, float]  # by feature, in the order of the columns
    windows: float = 1.0

    def probability_N(self, features_NF: Floats) -> Floats:
        # Added column by column: a matrix product may round differently in a batch of another size.
        logit_N = np.full(len(features_NF), self.intercept)
        for column, coefficient in enumerate(self.coefficients.values()):
            logit_N += coefficient * features_NF[:, column]
        if self.windows == 1.0:
            return np.asarray(expit(logit_N))
        return np.asarray(-np.expm1(-self.windows * np.logaddexp(0.0, logit_N)))


def fit_logistic(names: tuple[str, ...], features_NF: Floats, is_true_N: Bools) -> LogisticFormula:
    """Return the formula of least penalised log loss. The penalty applies to standardised features.

    Raises ValueError if all examples are of one class.
    Source: Platt 1999, where the one feature is a score.
    """
    mean_F = features_NF.mean(axis=0)
    spread_F = features_NF.std(axis=0)
    spread_F = np.where(spread_F > 0, spread_F, 1.0)
    # Newton's method is so exact that the starting point and the order of additions do not show.
    fitted = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-8, max_iter=100)
    with BLAS.limit(limits=1):
        fitted.fit((features_NF - mean_F) / spread_F, is_true_N)
    coefficient_F = fitted.coef_[0] / spread_F
    intercept = float(fitted.intercept_[0] - np.sum(coefficient_F * mean_F))
    return LogisticFormula(intercept, dict(zip(names, coefficient_F.tolist(), strict=True)))


@dataclass(frozen=True)
class Calibration:
    """Straight lines between knots, level before the first and after the last.

    Source: Zadrozny and Elkan 2002.
    """

    predicted: tuple[float, ...]  # rising
    observed: tuple[float, ...]

    def apply(self, score_N: Floats) -> Floats:
        """Return a probability for each score, in the shape of the scores."""
        return np.interp(score_N, self.predicted, self.observed)

    def as_json(self) -> Mapping[str, Any]:
        return {"method": "isotonic", "knots": len(self.predicted)}


IDENTITY = Calibration((0.0, 1.0), (0.0, 1.0))


def fit_isotonic(score_N: Floats, is_true_N: Bools) -> Calibration:
    """Return the isotonic regression of any scores. Its flat parts tie different scores."""
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score_N, is_true_N)
    return Calibration(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def fit_calibration(probability_N: Floats, is_true_N: Bools) -> Calibration:
    """Return the isotonic regression of probabilities over bins of equal mass, from (0, 0) to (1, 1).

    Lines join the centres of its flat parts. It rises everywhere, so it ties no two different probabilities.
    """
    bins = equal_mass_bins(probability_N, BINS)
    predicted = np.array([probability_N[members].mean() for members in bins])
    observed = np.array([is_true_N[members].mean() for members in bins])
    mass = np.array([float(len(members)) for members in bins])
    rising = IsotonicRegression(y_min=0.0, y_max=1.0).fit(predicted, observed, sample_weight=mass).predict(predicted)
    knots = [(0.0, 0.0)]
    for level in np.unique(rising[(rising > 0) & (rising < 1)]):
        on_level = rising == level
        knots.append((float(np.average(predicted[on_level], weights=mass[on_level])), float(level)))
    knots.append((1.0, 1.0))
    return Calibration(tuple(predicted for predicted, _ in knots), tuple(observed for _, observed in knots))
