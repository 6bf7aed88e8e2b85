"""Networks and the linear map in one ranking.

Shape letters: B users, V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.baselines.interactions import Interactions
from tests.bench.public_sets.next_item import ItemRanker, LeaveOneOut, ndcg_U, ranks_B

MIN_PROBABILITY = 1e-4  # a linear map may predict a value below zero


@dataclass(frozen=True, eq=False)
class BlendRanker:
    """The mean log probability of the networks plus `prior_weight` times that of the linear map."""

    nets: Sequence[ItemRanker]
    prior: ItemRanker
    prior_weight: float

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        nets_BV = [net.scores_BV(interactions) for net in self.nets]
        return blended_BV(nets_BV, log_probability_BV(self.prior, interactions), self.prior_weight)


def log_probability_BV(prior: ItemRanker, interactions: Interactions) -> NDArray[Any]:
    """Return the log of the scores of a linear map, which estimate probabilities to come next."""
    probability_BV = np.maximum(prior.scores_BV(interactions), MIN_PROBABILITY)
    return np.log(probability_BV).astype(np.float32)


def blended_BV(nets_BV: Sequence[NDArray[Any]], prior_BV: NDArray[Any], prior_weight: float) -> NDArray[Any]:
    """Return the scores of the blend, all inputs being log probabilities."""
    mean_BV: NDArray[Any] = np.mean(nets_BV, axis=0)
    return mean_BV + np.float32(prior_weight) * prior_BV


def ndcg_by_weight(
    nets_BV: Sequence[NDArray[Any]], prior_BV: NDArray[Any], task: LeaveOneOut, weights: Sequence[float]
) -> dict[float, float]:
    """Return nDCG@10 of the blend for each weight of the prior. All users of `task` are in one batch."""
    return {
        weight: float(ndcg_U(ranks_B(blended_BV(nets_BV, prior_BV, weight), task.past, task.target_U)).mean())
        for weight in weights
    }
