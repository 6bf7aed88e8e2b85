"""Gradient boosted trees for yes-or-no labels, grown by XGBoost.

Source: Friedman 2001; Chen and Guestrin 2016. Leaves are split best first, on histograms of the features.

Shape letters: N rows, F features.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit

from model.data.arrays import Bools, Floats

MAX_TREES = 600
SEED = 1
THREADS = 2  # fixed, so that sums are added up in one order
MAX_BINS = 1024  # of a feature; with 256, trees of a few hundred users rank worse


@dataclass(frozen=True)
class BoostingSettings:
    """Settings of the trees of one model."""

    learning_rate: float
    leaves: int  # of a tree, at most
    least_weight_in_leaf: float  # sum of p (1 - p) over the rows of the leaf
    penalty: float  # of the squares of leaf values
    trees: int = MAX_TREES
    share_of_rows: float = 1.0  # drawn for each tree
    share_of_features: float = 1.0  # drawn for each split
    patience: int = 20  # trees without a lower validation loss before growing stops

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def xgboost_parameters(self, seed: int) -> dict[str, Any]:
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "grow_policy": "lossguide",
            "max_depth": 0,
            "max_bin": MAX_BINS,
            "max_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.least_weight_in_leaf,
            "lambda": self.penalty,
            "subsample": self.share_of_rows,
            "colsample_bynode": self.share_of_features,
            "seed": seed,
            "nthread": THREADS,
        }


def training_rows(
    rows_NF: Floats, is_true_N: Bools, like: xgboost.QuantileDMatrix | None = None
) -> xgboost.QuantileDMatrix:
    """Return rows in XGBoost's form. like: the rows of the training, for rows to validate on."""
    return xgboost.QuantileDMatrix(rows_NF, label=is_true_N, ref=like, max_bin=MAX_BINS, nthread=THREADS)


def grow_trees(settings: BoostingSettings, rows: xgboost.QuantileDMatrix) -> xgboost.Booster:
    """Return the model of exactly `settings.trees` trees. The same rows give the same trees."""
    return xgboost.train(settings.xgboost_parameters(SEED), rows, num_boost_round=settings.trees)


def grow_until_best(
    settings: BoostingSettings, rows: xgboost.QuantileDMatrix, validation: xgboost.QuantileDMatrix, seed: int
) -> xgboost.Booster:
    """Return the model of as many trees, up to `settings.trees`, as have the lowest log loss on `validation`.

    The same rows and seed give the same trees.
    """
    grown = xgboost.train(
        settings.xgboost_parameters(seed),
        rows,
        num_boost_round=settings.trees,
        evals=[(validation, "validation")],
        early_stopping_rounds=settings.patience,
        verbose_eval=False,
    )
    return grown[: grown.best_iteration + 1]


def margin_N(trees: xgboost.Booster, rows_NF: Floats) -> Floats:
    """Return the sum of the leaf values of each row; for yes-or-no labels these are log odds."""
    return np.asarray(trees.inplace_predict(rows_NF, predict_type="margin"), dtype=np.float64)


def probability_N(trees: xgboost.Booster, rows_NF: Floats) -> Floats:
    """Return the probability of each row, which does not depend on the other rows."""
    return np.asarray(expit(margin_N(trees, rows_NF)))


def shapley_NF(trees: xgboost.Booster, rows_NF: Floats) -> Floats:
    """Return by how much each feature raised the log odds of each row above the mean, by its Shapley value.

    Source: Lundberg et al. 2018 (TreeSHAP).
    """
    if not len(rows_NF):  # XGBoost would return an array without columns
        return np.empty(rows_NF.shape)
    values = trees.predict(xgboost.DMatrix(rows_NF, nthread=THREADS), pred_contribs=True)
    return np.asarray(values[:, :-1], dtype=np.float64)


def read_trees(file: Path) -> xgboost.Booster:
    """Read what `Booster.save_model` wrote."""
    trees = xgboost.Booster({"nthread": THREADS})
    trees.load_model(file)
    return trees
