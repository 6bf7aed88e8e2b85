"""What nets say and what counting says, in one ranking.

Shape letters: B users, V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.baselines.interactions import Interactions
from tests.bench.public_sets.next_item import ItemRanker, Question, ndcg_U, ranks_B

LEAST_CHANCE = 1e-4  # a linear map's answer may be below zero, and has no logarithm then


@dataclass(frozen=True, eq=False)
class BlendRanker:
    """The mean of what nets say, plus `prior_weight` times the logarithm of what the linear map says."""

    nets: Sequence[ItemRanker]
    prior: ItemRanker
    prior_weight: float

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        nets_BV = [net.scores_BV(interactions) for net in self.nets]
        return blended_BV(nets_BV, log_chance_BV(self.prior, interactions), self.prior_weight)


def log_chance_BV(prior: ItemRanker, interactions: Interactions) -> NDArray[Any]:
    """Return the logarithm of the strengths of a linear map, which are chances to come next but for their errors."""
    chance_BV = np.maximum(prior.scores_BV(interactions), LEAST_CHANCE)
    return np.log(chance_BV).astype(np.float32)


def blended_BV(nets_BV: Sequence[NDArray[Any]], prior_BV: NDArray[Any], prior_weight: float) -> NDArray[Any]:
    """Return the strengths of the blend, all being logarithms of chances."""
    mean_BV: NDArray[Any] = np.mean(nets_BV, axis=0)
    return mean_BV + np.float32(prior_weight) * prior_BV


def ndcg_by_weight(
    nets_BV: Sequence[NDArray[Any]], prior_BV: NDArray[Any], asked: Question, weights: Sequence[float]
) -> dict[float, float]:
    """Return nDCG@10 of the blend for each weight of the prior. All users of `asked` are in one batch."""
    return {
        weight: float(ndcg_U(ranks_B(blended_BV(nets_BV, prior_BV, weight), asked.past, asked.target_U)).mean())
        for weight in weights
    }
