"""Metrics of rankings and of probabilities, and the confidence interval of a mean over users.

All of them are numpy. The tests compare them with torchmetrics and scikit-learn.

Shape letters: U users, P pairs of user and tag, H hits (a hit is a tag that the user touched), N predictions,
B bootstrap resamples.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.data.arrays import AnyArray, Bools, Floats, Ints, strongest_first, sum_by_group

ECE_BINS = 15
RESAMPLES = 1000
SEED = 20260201
USERS_AT_ONCE = 2_000_000  # resampled users held in memory


@dataclass(frozen=True, eq=False)
class RankedHits:
    """The places of each user's hits in the user's ranking.

    Every metric is 0 to 1, one value a user, and nan for a user without a hit. Hits that are not ranked count as
    misses, and so does a place without a tag where a ranking is shorter than the depth.
    """

    user_H: Ints
    place_H: Ints  # 0 is the top; no two hits of a user share a place
    hits_U: Ints  # all that there is to find, ranked or not

    @classmethod
    def of_pairs(cls, user_P: Ints, score_P: Floats, tie_P: AnyArray, is_hit_P: Bools, hits_U: Ints) -> "RankedHits":
        """Rank each user's pairs by falling score. Equal scores are ranked by rising `tie_P`."""
        order_P, place_P = strongest_first(user_P, score_P, tie_P)
        is_hit_by_place_P = is_hit_P[order_P]
        return cls(user_P[order_P][is_hit_by_place_P], place_P[is_hit_by_place_P], hits_U)

    def found_U(self, depth: int) -> Floats:
        """Return the number of hits among the first `depth` places."""
        return np.bincount(self.user_H[self.place_H < depth], minlength=len(self.hits_U)).astype(np.float64)

    def precision_U(self, depth: int) -> Floats:
        """Return the share of hits among the first `depth` places."""
        return self._per_user(self.found_U(depth), depth)

    def recall_U(self, depth: int) -> Floats:
        """Return the share of the hits that is among the first `depth` places."""
        return self._per_user(self.found_U(depth), self.hits_U)

    def capped_recall_U(self, depth: int) -> Floats:
        """Return the recall over min(hits, `depth`), so that a user with more hits than places can reach 1."""
        return self._per_user(self.found_U(depth), np.minimum(self.hits_U, depth))

    def f1_U(self, depth: int) -> Floats:
        """Return the harmonic mean of precision and recall."""
        return self._per_user(2 * self.found_U(depth), depth + self.hits_U)

    def hit_rate_U(self, depth: int) -> Floats:
        """Return 1 where any hit is among the first `depth` places."""
        return self._per_user(np.minimum(self.found_U(depth), 1), 1)

    def ndcg_U(self, depth: int) -> Floats:
        """Return the nDCG with gains of 0 and 1. Source: Järvelin and Kekäläinen 2002."""
        discount_H = np.where(self.place_H < depth, 1 / np.log2(self.place_H + 2), 0.0)
        gain_U = sum_by_group(discount_H, self.user_H, len(self.hits_U))
        best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(depth) + 2))])
        return self._per_user(gain_U, best[np.minimum(self.hits_U, depth)])

    def average_precision_U(self) -> Floats:
        """Return the average precision over the whole ranking. Its mean over users is MAP."""
        order_H, hits_above_H = strongest_first(self.user_H, -self.place_H.astype(np.float64), self.place_H)
        precision_H = (hits_above_H + 1) / (self.place_H[order_H] + 1)
        return self._per_user(sum_by_group(precision_H, self.user_H[order_H], len(self.hits_U)), self.hits_U)

    def _per_user(self, numerator_U: Floats, denominator_U: AnyArray | int) -> Floats:
        return divide_where(numerator_U, denominator_U, self.hits_U > 0)


def divide_where(numerator_U: AnyArray, denominator_U: AnyArray | int, is_defined_U: Bools) -> Floats:
    """Return the quotient, and nan where it is not defined."""
    value_U: Floats = np.full(len(numerator_U), np.nan)
    np.divide(numerator_U, denominator_U, out=value_U, where=is_defined_U)
    return value_U


def nan_mean(value_U: Floats) -> float:
    """Return the mean of the values that are not nan; nan where there is none."""
    is_defined_U = ~np.isnan(value_U)
    return float(value_U[is_defined_U].mean()) if is_defined_U.any() else float("nan")


def equal_mass_bins(score_N: Floats, bins: int) -> list[Ints]:
    """Return the indices of each bin, by rising score; bins differ in size by one at most, none is empty."""
    return [members for members in np.array_split(np.argsort(score_N, kind="stable"), bins) if len(members)]


def expected_calibration_error(probability_N: Floats, is_true_N: Bools | Floats, bins: int = ECE_BINS) -> float:
    """Return the mean gap between predicted and observed probability over bins of equal mass, 0 to 1; nan for no rows.

    is_true_N: what happened, or the true probability where it is known.
    Source: Naeini, Cooper and Hauskrecht 2015, with bins of equal mass.
    """
    if not len(probability_N):
        return float("nan")
    gaps = [
        abs(float(np.sum(probability_N[members] - is_true_N[members])))
        for members in equal_mass_bins(probability_N, bins)
    ]
    return sum(gaps) / len(probability_N)


@dataclass(frozen=True)
class ReliabilityPoint:
    """One bin of a reliability plot."""

    predicted: float  # mean probability
    observed: float  # share that came true
    count: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def reliability(probability_N: Floats, is_true_N: Bools) -> Sequence[ReliabilityPoint]:
    """Return a point for each bin of the expected calibration error."""
    return tuple(
        ReliabilityPoint(float(probability_N[members].mean()), float(is_true_N[members].mean()), len(members))
        for members in equal_mass_bins(probability_N, ECE_BINS)
    )


@dataclass(frozen=True)
class Difference:
    """A mean over users and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def paired_difference(value_U: Floats, other_U: Floats) -> Difference:
    """Return the mean of `value_U` minus `other_U`, with its interval by resampling users.

    Both values of a user are drawn together. Users with a nan in either are left out.
    Raises ValueError if no user is left.
    Source: Efron and Tibshirani 1993, chapter 13, the percentile interval.
    """
    difference_U = (value_U - other_U)[~np.isnan(value_U) & ~np.isnan(other_U)]
    users = len(difference_U)
    if not users:
        raise ValueError("no user has both values: expected two models that were evaluated on the same users")
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
    """Return the mean over users with its interval."""
    return paired_difference(value_U, np.zeros(len(value_U)))
