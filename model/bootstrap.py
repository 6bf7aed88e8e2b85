"""How sure a difference between two models is. Shape letters: U users, B resamples."""

from dataclasses import dataclass

import numpy as np

from model.arrays import Floats

RESAMPLES = 1000
SEED = 20260201
USERS_AT_ONCE = 2_000_000  # resampled users held in memory


@dataclass(frozen=True)
class Difference:
    """A mean over users, and the interval that holds 95 % of the means of resampled users."""

    mean: float
    low: float
    high: float


def paired_difference(value_U: Floats, other_U: Floats) -> Difference:
    """Return how much `value_U` lies above `other_U`, told by drawing users with replacement.

    Both values of a user are drawn together. Leaves out users of whom either value is nan.
    Raises ValueError if nobody is left.
    Source: Efron and Tibshirani 1993, chapter 13, the percentile interval.
    """
    difference_U = (value_U - other_U)[~np.isnan(value_U) & ~np.isnan(other_U)]
    users = len(difference_U)
    if not users:
        raise ValueError("no user has both values: a difference is between two models judged on the same users")
    random = np.random.default_rng(SEED)
    at_once = max(1, USERS_AT_ONCE // users)
    mean_B = np.concatenate(
        [
            difference_U[random.integers(users, size=(min(at_once, RESAMPLES - done), users))].mean(axis=1)
            for done in range(0, RESAMPLES, at_once)
        ]
    )
    low, high = np.quantile(mean_B, [0.025, 0.975])
    return Difference(float(difference_U.mean()), float(low), float(high))


def mean_of_users(value_U: Floats) -> Difference:
    """Return the mean of a value with its interval, as `paired_difference` from nothing."""
    return paired_difference(value_U, np.zeros(len(value_U)))
