"""How good a ranking and how true a probability is (MODEL.md 4).

Shape letters: U users, P pairs of user and tag, N predictions.
"""

import numpy as np

from model.arrays import Bools, Floats, Ints, summed
from model.ranking import strongest_first


def ndcg_at(depth: int, user_P: Ints, strength_P: Floats, tie_P: Ints, is_hit_P: Bools, hits_U: Ints) -> float:
    """Return the mean nDCG at `depth` over the users with a hit, 0 to 1; nan where nobody has one.

    hits_U: what there was to find for each user, found among the pairs or not.
    Source: Järvelin and Kekäläinen 2002, with gains of 0 and 1.
    """
    order_P, place_P = strongest_first(user_P, strength_P, tie_P)
    discount_P = np.where(place_P < depth, 1 / np.log2(place_P + 2), 0.0)
    gain_U = summed(discount_P * is_hit_P[order_P], user_P[order_P], len(hits_U))
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(depth) + 2))])
    best_U = best[np.minimum(hits_U, depth)]
    has_hit_U = hits_U > 0
    return float(np.mean(gain_U[has_hit_U] / best_U[has_hit_U])) if has_hit_U.any() else float("nan")


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
