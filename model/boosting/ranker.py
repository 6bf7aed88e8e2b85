"""boosted-ranking: LambdaMART on decayed counts of several half-lives and by action.

Source: Burges 2010, as XGBoost 3 builds it (`rank:ndcg`).

Shape letters: U users, T tags, P pairs of user and tag, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import xgboost
from scipy.special import expit

from model.boosting.features import features_PF, usual_actions
from model.boosting.trees import SEED, THREADS, margin_N
from model.counts.candidates import candidates_of
from model.data.arrays import Bools, Floats, Ints
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.popularity import Popularity, fit_popularity
from model.interfaces import Model, TrainingData

PairMethod = Literal["mean", "topk"]


@dataclass(frozen=True, eq=False)
class RankingExamples:
    """Pairs that are ranked within each user of a window."""

    rows_PF: Floats
    is_touched_P: Bools
    user_P: Ints  # rising
    users: int


@dataclass(frozen=True)
class LambdaMart:
    """Settings of the trees."""

    trees: int
    depth: int
    learning_rate: float
    least_weight_in_leaf: float
    # mean: each touched tag is compared with `pairs` others, drawn at random. topk: the first `pairs` places are
    # compared with all others, which favours the top of the ranking.
    pair_method: PairMethod
    pairs: int
    share_of_rows: float = 1.0  # drawn for each tree
    share_of_features: float = 1.0  # drawn for each split

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def grow(self, examples: Sequence[RankingExamples], seed: int) -> xgboost.Booster:
        """Return the trees fitted to all examples. Each user of each window is a query group."""
        first = np.cumsum([0, *(one.users for one in examples)])
        rows = xgboost.DMatrix(
            np.concatenate([one.rows_PF for one in examples]),
            label=np.concatenate([one.is_touched_P for one in examples]),
            qid=np.concatenate([one.user_P + begin for one, begin in zip(examples, first, strict=False)]),
            nthread=THREADS,
        )
        return xgboost.train({**self._parameters(), "seed": seed}, rows, num_boost_round=self.trees)

    def _parameters(self) -> dict[str, Any]:
        return {
            "objective": "rank:ndcg",
            "lambdarank_pair_method": self.pair_method,
            "lambdarank_num_pair_per_sample": self.pairs,
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.least_weight_in_leaf,
            "subsample": self.share_of_rows,
            "colsample_bynode": self.share_of_features,
            "tree_method": "hist",
            "nthread": THREADS,
        }


def require_touched(windows: Sequence[LabeledWindow]) -> None:
    """Raise ValueError if no window has a touched candidate."""
    if not any(window.is_touched_P.any() for window in windows):
        raise ValueError(
            f"boosted ranking has nothing to train on: found {len(windows)} training windows before the cutoff and no "
            f"touched candidate in them, expected at least one; evaluate a later day, or leave this model out"
        )


@dataclass(frozen=True, eq=False)
class BoostedRanker:
    """A FittedModel."""

    trees: xgboost.Booster
    actions: tuple[str, ...]  # with a count of their own among the features
    popularity: Popularity
    cutoff: int  # moment

    def as_of(self, past: History, cutoff: int) -> "BoostedRanker":
        """Return the same trees at another cutoff. past: all users known then."""
        return replace(self, popularity=fit_popularity(past, cutoff), cutoff=cutoff)

    def scores_UT(self, past: History) -> Floats:
        """Return the trees' scores of own and popular tags, 0 to 1; all other tags are below, by popularity."""
        candidates = candidates_of(past, self.popularity)
        rows_PF = features_PF(
            candidates.past, candidates.own, candidates.pairs, candidates.share_T, self.cutoff, self.actions
        )
        return candidates.filled_up_UT(np.asarray(expit(margin_N(self.trees, rows_PF))))


@dataclass(frozen=True)
class BoostedRanking(Model):
    """The method `boosted-ranking`."""

    name: ClassVar[str] = "boosted-ranking"
    predicts_probabilities: ClassVar[bool] = False
    lambda_mart: LambdaMart

    def settings(self) -> Mapping[str, Any]:
        return self.lambda_mart.settings()

    def fit(self, data: TrainingData) -> BoostedRanker:
        """Fit to all windows. Raises ValueError if no window has a touched candidate."""
        require_touched(data.windows)
        actions = usual_actions(data.windows)
        trees = self.lambda_mart.grow([_examples(window, actions) for window in data.windows], SEED)
        return BoostedRanker(trees, actions, fit_popularity(data.past, data.cutoff), data.cutoff)


def _examples(window: LabeledWindow, actions: tuple[str, ...]) -> RankingExamples:
    rows_PF = features_PF(window.past, window.own, window.pairs, window.share_T, window.cutoff, actions)
    return RankingExamples(rows_PF, window.is_touched_P, window.pairs.user_P, window.past.users)
