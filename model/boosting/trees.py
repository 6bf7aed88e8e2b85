"""Boosted trees as plain arrays, so that a model is numbers in a file and runs no code of the file's.

Shape letters: P rows, F features, K trees, N nodes of all trees.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from model.arrays import Floats, Ints

ROWS_AT_ONCE = 16_384  # what is walked stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Trees:
    """A leaf is its own child on both sides, so that every row may take as many steps as the deepest tree has."""

    baseline: float
    root_K: Ints
    depth_K: Ints  # steps from the root to the deepest leaf
    feature_N: Ints
    threshold_N: Floats  # a row goes left where its feature is not above it
    left_N: Ints
    right_N: Ints
    value_N: Floats  # log odds that a leaf adds

    def first(self, count: int) -> "Trees":
        """Return the forest as it was after `count` trees."""
        return replace(self, root_K=self.root_K[:count], depth_K=self.depth_K[:count])

    def probability_P(self, features_PF: Floats) -> Floats:
        """Return the probability of each row; it does not depend on the other rows."""
        log_odds_P = np.full(len(features_PF), self.baseline)
        for start in range(0, len(features_PF), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            self._add_to(log_odds_P[rows], features_PF[rows])
        return np.asarray(expit(log_odds_P))

    def _add_to(self, log_odds_P: Floats, features_PF: Floats) -> None:
        rows, width = features_PF.shape
        flat = np.ascontiguousarray(features_PF).ravel()
        start_P = np.arange(rows) * width
        for root, depth in zip(self.root_K.tolist(), self.depth_K.tolist(), strict=True):
            at_P = np.full(rows, root)
            for _ in range(depth):
                is_left_P = flat[start_P + self.feature_N[at_P]] <= self.threshold_N[at_P]
                at_P = np.where(is_left_P, self.left_N[at_P], self.right_N[at_P])
            log_odds_P += self.value_N[at_P]


def trees_of(fitted: HistGradientBoostingClassifier) -> Trees:
    """Copy the trees of a fitted classifier of two classes, numeric features without gaps."""
    # scikit-learn has no public way to its trees; the comparison in tests/model/test_boosting_trees.py guards this one.
    nodes_of_trees = [trees[0].nodes for trees in fitted._predictors]
    sizes = [len(nodes) for nodes in nodes_of_trees]
    root_K = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    nodes_N = np.concatenate(nodes_of_trees)
    root_N = np.repeat(root_K, sizes)
    is_leaf_N = nodes_N["is_leaf"].astype(bool)
    itself_N = np.arange(len(nodes_N))
    return Trees(
        baseline=float(fitted._baseline_prediction.item()),
        root_K=root_K,
        depth_K=np.array([int(nodes["depth"].max()) for nodes in nodes_of_trees], dtype=np.int64),
        feature_N=np.where(is_leaf_N, 0, nodes_N["feature_idx"]).astype(np.int64),
        threshold_N=np.where(is_leaf_N, np.inf, nodes_N["num_threshold"]),
        left_N=np.where(is_leaf_N, itself_N, nodes_N["left"] + root_N).astype(np.int64),
        right_N=np.where(is_leaf_N, itself_N, nodes_N["right"] + root_N).astype(np.int64),
        value_N=np.where(is_leaf_N, nodes_N["value"], 0.0),
    )
