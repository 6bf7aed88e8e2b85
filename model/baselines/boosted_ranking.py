"""Gradient boosting that learns to rank: LambdaMART on decayed counts of several half-lives and by action.

Shape letters: U users, T tags, P pairs of user and tag, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit

from model.arrays import Floats
from model.baselines.lambda_mart import Examples, LambdaMart, margin_P, require_touched
from model.baselines.vocabulary import candidates_of
from model.boosting.features import features_PF
from model.boosting.fit import usual_actions
from model.counts.lesson import Lesson
from model.counts.popularity import Popularity, popularity
from model.history import History

SEED = 1


@dataclass(frozen=True, eq=False)
class BoostedRanker:
    """A Ranker."""

    trees: xgboost.Booster
    actions: tuple[str, ...]  # counted one by one
    crowd: Popularity
    cut: int  # moment

    def as_of(self, past: History, cut: int) -> "BoostedRanker":
        """Return what it is at another cut, with what it has learnt. past: everybody known then."""
        return replace(self, crowd=popularity(past, cut), cut=cut)

    def strength_UT(self, past: History) -> Floats:
        """Return what the trees say of own and popular tags, bent into 0 to 1; of all others less, by popularity."""
        asked = candidates_of(past, self.crowd)
        rows_PF = features_PF(asked.past, asked.own, asked.pairs, asked.share_T, self.cut, self.actions)
        return asked.filled_up_UT(np.asarray(expit(margin_P(self.trees, rows_PF))))


@dataclass(frozen=True)
class BoostedRanking:
    """A Contestant."""

    lambda_mart: LambdaMart

    @property
    def name(self) -> str:
        return "boosted-ranking"

    @property
    def states_probabilities(self) -> bool:
        return False

    def settings(self) -> Mapping[str, Any]:
        return self.lambda_mart.settings()

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> BoostedRanker:
        """Learn from all of `taught`. Raises ValueError if no lesson has a touched candidate."""
        require_touched(taught)
        actions = usual_actions(taught)
        trees = self.lambda_mart.grow([_examples(lesson, actions) for lesson in taught], SEED)
        return BoostedRanker(trees, actions, popularity(past, cut), cut)


def _examples(lesson: Lesson, actions: tuple[str, ...]) -> Examples:
    rows_PF = features_PF(lesson.past, lesson.own, lesson.pairs, lesson.share_T, lesson.cut, actions)
    return Examples(rows_PF, lesson.is_touched_P, lesson.pairs.user_P, lesson.past.users)
