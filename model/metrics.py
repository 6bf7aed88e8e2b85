"""How good a ranking and how true a probability is (MODEL.md 4).

Shape letters: U users, P pairs of user and tag, N predictions.

How sure a difference between two models is. Shape letters: U users, B resamples.
"""

from dataclasses import dataclass

import numpy as np

from model.data.arrays import AnyArray, Bools, Floats, Ints, strongest_first, sum_by_group, top


def ndcg_at(depth: int, user_P: Ints, score_P: Floats, tie_P: Ints, is_hit_P: Bools, hits_U: Ints) -> float:
    """Return the mean nDCG at `depth` over the users with a hit, 0 to 1; nan where nobody has one.

    hits_U: what there was to find for each user, found among the pairs or not.
    """
    ndcg_U = ndcg_of_users(depth, user_P, score_P, tie_P, is_hit_P, hits_U)
    return nan_mean(ndcg_U)


def ndcg_of_users(depth: int, user_P: Ints, score_P: Floats, tie_P: AnyArray, is_hit_P: Bools, hits_U: Ints) -> Floats:
    """Return each user's nDCG at `depth`, 0 to 1; nan for a user without a hit. Equals stand by rising `tie_P`.

    Source: Järvelin and Kekäläinen 2002, with gains of 0 and 1.
    """
    order_P, place_P = strongest_first(user_P, score_P, tie_P)
    discount_P = np.where(place_P < depth, 1 / np.log2(place_P + 2), 0.0)
    gain_U = sum_by_group(discount_P * is_hit_P[order_P], user_P[order_P], len(hits_U))
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(depth) + 2))])
    return _where_defined(gain_U, best[np.minimum(hits_U, depth)], hits_U > 0)


def recall_of_users(
    depth: int, user_P: Ints, score_P: Floats, tie_P: AnyArray, is_hit_P: Bools, hits_U: Ints
) -> Floats:
    """Return the share of each user's hits among the `depth` strongest, 0 to 1; nan for a user without a hit."""
    found_U, _ = _hits_and_predicted(depth, user_P, score_P, tie_P, is_hit_P, len(hits_U))
    return _where_defined(found_U, hits_U.astype(np.float64), hits_U > 0)


def f1_of_users(depth: int, user_P: Ints, score_P: Floats, tie_P: AnyArray, is_hit_P: Bools, hits_U: Ints) -> Floats:
    """Return the harmonic mean of precision and recall of each user's `depth` strongest; nan for one without a hit.

    Precision is over what was told: a user with fewer pairs than `depth` is not punished for those that are not there.
    """
    found_U, told_U = _hits_and_predicted(depth, user_P, score_P, tie_P, is_hit_P, len(hits_U))
    return _where_defined(2 * found_U, told_U + hits_U, hits_U > 0)


def nan_mean(value_U: Floats) -> float:
    """Return the mean of what is not nan; nan where nothing is."""
    is_defined_U = ~np.isnan(value_U)
    return float(value_U[is_defined_U].mean()) if is_defined_U.any() else float("nan")


def _hits_and_predicted(
    depth: int, user_P: Ints, score_P: Floats, tie_P: AnyArray, is_hit_P: Bools, users: int
) -> tuple[Floats, Floats]:
    """Return for each user how many of the `depth` strongest pairs are hits, and how many such pairs there are."""
    chosen = top(depth, user_P, score_P, tie_P)
    user = user_P[chosen]
    return sum_by_group(is_hit_P[chosen].astype(np.float64), user, users), sum_by_group(np.ones(len(user)), user, users)


def _where_defined(numerator_U: Floats, denominator_U: Floats, is_defined_U: Bools) -> Floats:
    value_U: Floats = np.full(len(numerator_U), np.nan)
    np.divide(numerator_U, denominator_U, out=value_U, where=is_defined_U)
    return value_U


def expected_calibration_error(probability_N: Floats, is_true_N: Bools | Floats, bins: int = 15) -> float:
    """Return the mean gap between stated and observed probability over bins of equal mass, 0 to 1; nan for nothing.

    is_true_N: what happened, or the true probability where it is known.
    Source: Naeini, Cooper and Hauskrecht 2015, with equal-mass bins.
    """
    if not len(probability_N):
        return float("nan")
    order_N = np.argsort(probability_N, kind="stable")
    gaps = [
        abs(float(np.sum(probability_N[members] - is_true_N[members])))
        for members in np.array_split(order_N, bins)
        if len(members)
    ]
    return sum(gaps) / len(probability_N)


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
