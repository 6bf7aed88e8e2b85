"""Logistic regression as a formula that can be written down. Shape letters: N examples, F features.

Bends stated probabilities to observed ones. Shape letter: N predictions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from model.data.arrays import Bools, Floats


@dataclass(frozen=True)
class LogisticFormula:
    """p = 1 / (1 + exp(-(intercept + sum of coefficient times feature)))"""

    intercept: float
    coefficients: Mapping[str, float]  # by feature, in the order of the columns

    def probability_N(self, features_NF: Floats) -> Floats:
        # Added column by column: a matrix product may round differently in a batch of another size.
        logit_N = np.full(len(features_NF), self.intercept)
        for column, coefficient in enumerate(self.coefficients.values()):
            logit_N += coefficient * features_NF[:, column]
        return np.asarray(expit(logit_N))


def fit_logistic(names: tuple[str, ...], features_NF: Floats, is_true_N: Bools) -> LogisticFormula:
    """Return the formula of least penalised log loss; the penalty speaks of features in standard deviations.

    Raises ValueError if all examples are of one class.
    """
    mean_F = features_NF.mean(axis=0)
    spread_F = features_NF.std(axis=0)
    spread_F = np.where(spread_F > 0, spread_F, 1.0)
    # Newton's method is exact enough that the starting point and the order of additions do not show.
    learnt = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-8, max_iter=100)
    learnt.fit((features_NF - mean_F) / spread_F, is_true_N)
    coefficient_F = learnt.coef_[0] / spread_F
    intercept = float(learnt.intercept_[0] - np.sum(coefficient_F * mean_F))
    return LogisticFormula(intercept, dict(zip(names, coefficient_F.tolist(), strict=True)))


BINS = 50


@dataclass(frozen=True)
class Calibration:
    """Straight lines between knots, from (0, 0) to (1, 1), rising everywhere, so that no order is lost to ties."""

    stated: tuple[float, ...]
    observed: tuple[float, ...]

    def apply(self, probability_N: Floats) -> Floats:
        return np.interp(probability_N, self.stated, self.observed)


IDENTITY = Calibration((0.0, 1.0), (0.0, 1.0))


def fit_calibration(probability_N: Floats, is_true_N: Bools) -> Calibration:
    """Return the isotonic regression over bins of equal mass, its steps joined at their centres.

    Source: Zadrozny and Elkan 2002; joined instead of stepped, as steps would tie tags of different strength.
    """
    order_N = np.argsort(probability_N, kind="stable")
    bins = [members for members in np.array_split(order_N, BINS) if len(members)]
    stated = np.array([probability_N[members].mean() for members in bins])
    observed = np.array([is_true_N[members].mean() for members in bins])
    mass = np.array([float(len(members)) for members in bins])
    rising = IsotonicRegression(y_min=0.0, y_max=1.0).fit(stated, observed, sample_weight=mass).predict(stated)
    knots = [(0.0, 0.0)]
    for level in np.unique(rising[(rising > 0) & (rising < 1)]):
        on_level = rising == level
        knots.append((float(np.average(stated[on_level], weights=mass[on_level])), float(level)))
    knots.append((1.0, 1.0))
    return Calibration(tuple(stated for stated, _ in knots), tuple(observed for _, observed in knots))
