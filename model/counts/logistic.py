"""Logistic regression as a formula that can be written down. Shape letters: N examples, F features."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from model.arrays import Bools, Floats


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
