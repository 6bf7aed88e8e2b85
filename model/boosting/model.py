"""boosting-1: affinities by boosted trees over pair features; all else of a profile is that of counts-1.

Training grows and calibrates a `Forest`. The registry keeps it as `SavedForest` in two files, `model.json` and
`trees.ubj`, which is XGBoost's own format. Reading them runs no code of theirs.

Shape letters: U users, P pairs of user and tag, T tags, F features.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from model.boosting.features import feature_names, features_PF
from model.boosting.trees import (
    BoostingSettings,
    grow_trees,
    grow_until_best,
    probability_N,
    read_trees,
    training_rows,
)
from model.calibration import IDENTITY, Calibration, fit_calibration
from model.counts.candidates import AffinityRanker
from model.counts.model import Counts1
from model.counts.publish import scores_by
from model.data.arrays import Bools, Floats, top
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.pairs import OwnTags, Pairs
from model.data.scores import INTERESTS_PER_USER, Scores
from model.data.users import stable_hash
from model.errors import InputError
from model.metrics import ndcg_at

KIND = "boosting-1"
SETTINGS_GRID = (
    BoostingSettings(learning_rate=0.06, leaves=7, least_weight_in_leaf=10.0, penalty=1.0),
    BoostingSettings(learning_rate=0.06, leaves=15, least_weight_in_leaf=10.0, penalty=10.0),
    BoostingSettings(learning_rate=0.06, leaves=31, least_weight_in_leaf=5.0, penalty=10.0),
)
DESCRIPTION = "model.json"
TREES = "trees.ubj"
FORMAT = 2  # of the saved files; format 1, which had no number, kept copies of scikit-learn's trees


@dataclass(frozen=True, eq=False)
class Forest:
    """An AffinityOfPairs. Popularity is no part of it: as for counts-1, it is that of the day scored."""

    actions: tuple[str, ...]  # with a count of their own among the features
    trees: xgboost.Booster
    calibration: Calibration

    def __call__(self, history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int) -> Floats:
        """Return the probability that each pair is touched within the horizon after `moment`."""
        rows_PF = features_PF(history, own, pairs, share_T, moment, self.actions)
        return self.calibration.apply(probability_N(self.trees, rows_PF))


@dataclass(frozen=True, eq=False)
class Examples:
    """The pairs of a labelled window with their features."""

    window: LabeledWindow
    features_PF: Floats

    @property
    def is_touched_P(self) -> Bools:
        return self.window.is_touched_P

    def of_users(self, is_wanted_U: Bools) -> tuple[Floats, Bools]:
        """Return features and labels of the pairs of some users."""
        is_wanted_P = is_wanted_U[self.window.pairs.user_P]
        return self.features_PF[is_wanted_P], self.is_touched_P[is_wanted_P]


@dataclass(frozen=True)
class TriedSettings:
    """Settings with the number of trees that is best on the validation window, and the nDCG@10 there."""

    recipe: BoostingSettings
    ndcg_at_10: float


def examples(window: LabeledWindow, actions: tuple[str, ...]) -> Examples:
    rows_PF = features_PF(window.past, window.own, window.pairs, window.share_T, window.cutoff, actions)
    return Examples(window, rows_PF)


def try_settings(
    grid: Sequence[BoostingSettings], training: Sequence[Examples], validation: Examples
) -> Iterator[TriedSettings]:
    """Yield the result of each settings of the grid on the validation window, which also sets the number of trees."""
    rows = training_rows(*_stacked(training))
    validation_rows = training_rows(validation.features_PF, validation.is_touched_P, like=rows)
    window = validation.window
    for settings in grid:
        trees = grow_until_best(settings, rows, validation_rows)
        score_P = probability_N(trees, validation.features_PF)
        ndcg = ndcg_at(10, window.pairs.user_P, score_P, window.pairs.tag_P, window.is_touched_P, window.touched_tags_U)
        yield TriedSettings(replace(settings, trees=trees.num_boosted_rounds()), ndcg)


def grow(settings: BoostingSettings, training: Sequence[Examples], actions: tuple[str, ...]) -> Forest:
    """Return the forest of these settings, calibrated on its newest window.

    training: oldest first.
    """
    trees = grow_trees(settings, training_rows(*_stacked(training)))
    return Forest(actions, trees, _calibration(settings, training))


def _calibration(settings: BoostingSettings, training: Sequence[Examples]) -> Calibration:
    """Calibrate on the newest window: each half of its users is predicted by trees grown without that half.

    Older windows come from a younger log, in which users seem to have done less; the newest is most like today.
    Only the pairs that a profile would publish count. IDENTITY where a half has no users or only one class.
    """
    newest, older = training[-1], training[:-1]
    is_second_half_U = stable_hash(newest.window.past.user_id_U) % 2 == 1
    probability_P = np.zeros(len(newest.is_touched_P))
    for is_held_out_U in (is_second_half_U, ~is_second_half_U):
        held_out_P = is_held_out_U[newest.window.pairs.user_P]
        seen_PF, is_touched_P = newest.of_users(~is_held_out_U)
        if older:
            older_PF, was_touched_P = _stacked(older)
            seen_PF, is_touched_P = np.concatenate([older_PF, seen_PF]), np.concatenate([was_touched_P, is_touched_P])
        if not held_out_P.any() or is_touched_P.all() or not is_touched_P.any():
            return IDENTITY
        trees = grow_trees(settings, training_rows(seen_PF, is_touched_P))
        probability_P[held_out_P] = probability_N(trees, newest.features_PF[held_out_P])
    pairs = newest.window.pairs
    published = top(INTERESTS_PER_USER, pairs.user_P, probability_P, pairs.tag_P)
    return fit_calibration(probability_P[published], newest.is_touched_P[published])


def _stacked(some: Sequence[Examples]) -> tuple[Floats, Bools]:
    return np.concatenate([one.features_PF for one in some]), np.concatenate([one.is_touched_P for one in some])


def write_forest(forest: Forest, folder: Path) -> None:
    """Write the files of a forest into an existing folder."""
    description = {
        "format": FORMAT,
        "actions": forest.actions,
        "features": feature_names(forest.actions),
        "calibration": {"predicted": forest.calibration.predicted, "observed": forest.calibration.observed},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    forest.trees.save_model(folder / TREES)


def read_forest(folder: Path) -> Forest:
    """Read what `write_forest` wrote. Raises InputError for another format, or for features other than today's."""
    description = json.loads((folder / DESCRIPTION).read_text())
    found = description.get("format", 1)
    if found != FORMAT:
        raise InputError(
            f"the model in {folder} is saved in format {found}, expected {FORMAT}: another release wrote it; "
            f"train again, or score with --model none"
        )
    actions = tuple(description["actions"])
    unlike = sorted(set(description["features"]).symmetric_difference(feature_names(actions)))
    if unlike or tuple(description["features"]) != feature_names(actions):
        raise InputError(
            f"the model in {folder} uses other features than this version computes "
            f"({', '.join(unlike) or 'in another order'}): train again, or score with --model none"
        )
    calibration = description["calibration"]
    return Forest(
        actions,
        read_trees(folder / TREES),
        Calibration(tuple(calibration["predicted"]), tuple(calibration["observed"])),
    )


@dataclass(frozen=True, eq=False)
class Boosting1:
    """A Scorer. Events at the end of the as-of day or later do not exist for it."""

    version: str
    forest: Forest
    counts: Counts1

    @property
    def horizon_days(self) -> int:
        return self.counts.horizon_days

    def parameters(self) -> Mapping[str, Any]:
        return {"trees": self.forest.trees.num_boosted_rounds(), "counts-1": self.counts.parameters()}

    def score(self, history: History) -> Scores:
        """Return the scores of every user; evidence, items and the return are those of counts-1."""
        counts, fitted = self.counts, self.counts.fitted
        return scores_by(
            self.forest,
            history,
            counts.end,
            counts.popularity,
            fitted.half_life_days,
            fitted.returning,
            counts.horizon_days,
        )


@dataclass(frozen=True, eq=False)
class SavedForest:
    """A SavedModel."""

    forest: Forest
    kind: str = KIND

    @classmethod
    def read(cls, folder: Path) -> "SavedForest":
        """Raises InputError as `read_forest` does."""
        return cls(read_forest(folder))

    def scorer(self, version: str, counts: Counts1) -> Boosting1:
        return Boosting1(version, self.forest, counts)

    def fitted_as_of(self, counts: Counts1) -> AffinityRanker:
        return AffinityRanker(self.forest, counts.popularity, counts.end)

    def save(self, folder: Path) -> None:
        write_forest(self.forest, folder)
