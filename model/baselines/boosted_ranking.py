"""Gradient boosting that learns to rank: LambdaMART on decayed counts of several half-lives and by action.

Source: Burges 2010, as XGBoost 3 builds it (`rank:ndcg`).

Shape letters: U users, T tags, P pairs of user and tag, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit

from model.arrays import Floats
from model.baselines.vocabulary import candidates_of
from model.boosting.features import features_PF
from model.boosting.fit import usual_actions
from model.counts.lesson import Lesson
from model.counts.popularity import Popularity, popularity
from model.history import History

THREADS = 2
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
        said_P = self.trees.inplace_predict(rows_PF, predict_type="margin").astype(np.float64)
        return asked.filled_up_UT(np.asarray(expit(said_P)))


@dataclass(frozen=True)
class BoostedRanking:
    """A Contestant."""

    trees: int
    depth: int
    learning_rate: float
    least_weight_in_leaf: float
    pairs_per_tag: int  # for how many others each of a user's tags is compared with, drawn at random

    @property
    def name(self) -> str:
        return "boosted-ranking"

    @property
    def states_probabilities(self) -> bool:
        return False

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> BoostedRanker:
        """Learn from all of `taught`, each user of each lesson a group of its own.

        Raises ValueError if no lesson has a touched candidate.
        """
        if not any(lesson.is_touched_P.any() for lesson in taught):
            raise ValueError(
                f"boosted ranking has nothing to learn from: found {len(taught)} lessons before the cut and no touched "
                f"candidate in them, expected one at least; begin the evaluation later, or leave this contestant out"
            )
        actions = usual_actions(taught)
        trees = xgboost.train(self._parameters(), _rows(taught, actions), num_boost_round=self.trees)
        return BoostedRanker(trees, actions, popularity(past, cut), cut)

    def _parameters(self) -> dict[str, Any]:
        return {
            "objective": "rank:ndcg",
            "lambdarank_pair_method": "mean",
            "lambdarank_num_pair_per_sample": self.pairs_per_tag,
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.least_weight_in_leaf,
            "tree_method": "hist",
            "nthread": THREADS,
            "seed": SEED,
        }


def _rows(taught: Sequence[Lesson], actions: tuple[str, ...]) -> xgboost.DMatrix:
    users = np.cumsum([0, *(lesson.past.users for lesson in taught)])
    return xgboost.DMatrix(
        np.concatenate(
            [
                features_PF(lesson.past, lesson.own, lesson.pairs, lesson.share_T, lesson.cut, actions)
                for lesson in taught
            ]
        ),
        label=np.concatenate([lesson.is_touched_P for lesson in taught]),
        qid=np.concatenate([lesson.pairs.user_P + first for lesson, first in zip(taught, users, strict=False)]),
        nthread=THREADS,
    )
