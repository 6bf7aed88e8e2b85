"""Gradient boosted trees that learn to rank: LambdaMART.

Source: Burges 2010, as XGBoost 3 builds it (`rank:ndcg`).

Shape letters: P pairs of user and tag, F features.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import xgboost

from model.arrays import Bools, Floats, Ints
from model.counts.lesson import Lesson

THREADS = 2
PairMethod = Literal["mean", "topk"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Pairs that are ranked within each user of each lesson."""

    rows_PF: Floats
    is_touched_P: Bools
    user_P: Ints  # rising
    users: int


@dataclass(frozen=True)
class LambdaMart:
    """Settings, as XGBoost names them where it does."""

    trees: int
    depth: int
    learning_rate: float
    least_weight_in_leaf: float
    # mean: each touched tag is compared with so many others, drawn at random; topk: the first so many places are
    # compared with all others, so that the trees care for the top of the list.
    pair_method: PairMethod
    pairs: int
    share_of_rows: float = 1.0  # that a tree sees, drawn anew for each
    share_of_features: float = 1.0  # that a split chooses from

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def grow(self, examples: Sequence[Examples], seed: int) -> xgboost.Booster:
        """Learn from all examples, each user of each of them a group of its own."""
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


def require_touched(taught: Sequence[Lesson]) -> None:
    """Raise ValueError if no lesson has a touched candidate."""
    if not any(lesson.is_touched_P.any() for lesson in taught):
        raise ValueError(
            f"boosted ranking has nothing to learn from: found {len(taught)} lessons before the cut and no touched "
            f"candidate in them, expected one at least; begin the evaluation later, or leave this contestant out"
        )


def margin_P(trees: xgboost.Booster, rows_PF: Floats) -> Floats:
    """Return what the trees say of each row, without a scale."""
    return np.asarray(trees.inplace_predict(rows_PF, predict_type="margin"), dtype=np.float64)
