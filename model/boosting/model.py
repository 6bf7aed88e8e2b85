"""boosting-1: affinities by boosted trees over pair features; all else of a profile is that of counts-1.

The mean of some forests, each grown without one fold of the users: it stops growing by them, and its predictions of
them calibrate. Votes of similar sessions are features. Sources: Breiman 1996 (bagging), Wolpert 1992 (stacking).

The registry keeps a `Forest` as `SavedForest` in `model.json` and `trees-N.ubj`, which is XGBoost's own format. Reading
them runs no code of theirs.

Shape letters: U users, P pairs of user and tag, T tags, F features.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit

from model.boosting.features import feature_names, features_PF
from model.boosting.trees import BoostingSettings, grow_until_best, margin_N, read_trees, training_rows
from model.boosting.votes import OF_SESSIONS, SessionVotes
from model.calibration import Calibration, fit_calibration
from model.counts.candidates import AffinityRanker
from model.counts.model import Counts1
from model.counts.publish import AffinityOfPairs
from model.data.arrays import Floats, Ints, top
from model.data.days import MICROS_PER_DAY
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.pairs import OwnTags, Pairs
from model.data.scores import INTERESTS_PER_USER, Scores
from model.data.users import stable_hash
from model.errors import InputError
from model.interfaces import ProgressCallback, no_callback

KIND = "boosting-1"
# Chosen on three days of Taobao before its test day. Of four days the mean nDCG@10 lies .0070 [.0031, .0107] above
# counts-1; with LambdaMART in place of the log loss .0074, without votes .0052.
SETTINGS = BoostingSettings(
    learning_rate=0.05,
    leaves=8,
    least_weight_in_leaf=10.0,
    penalty=1.0,
    share_of_rows=0.5,
    share_of_features=0.5,
)
# With many pairs larger steps rank as well, for half of the processor time: on a demo of 306,000 pairs nDCG@10 +.0003
# [-.0009, .0015]. On Taobao, of 83,000, -.0005 [-.0030, .0018], and there growing takes seconds anyway.
SETTINGS_OF_MANY_PAIRS = replace(SETTINGS, learning_rate=0.1, patience=10)
MANY_PAIRS = 200_000  # of a user and a tag, in all training windows
FORESTS = 5  # and folds of the users
DESCRIPTION = "model.json"
FORMAT = 3  # of the saved files; format 2 had one forest and no votes, format 1 copies of scikit-learn's trees
FORMAT_OF_ONE_FOREST = 2


@dataclass(frozen=True, eq=False)
class Forest:
    """Fitted trees. Popularity and sessions are no part of it: as for counts-1, they are those of the day scored."""

    actions: tuple[str, ...]  # with a count of their own among the features
    forests: tuple[xgboost.Booster, ...]
    calibration: Calibration
    reads_votes: bool = True  # False for what an earlier release has trained

    @property
    def features(self) -> tuple[str, ...]:
        """Name the columns that the trees read."""
        return (*feature_names(self.actions), *(OF_SESSIONS if self.reads_votes else ()))

    def affinity_of(self, known: History, moments: Sequence[int]) -> AffinityOfPairs:
        """Return the model with the sessions of `known` before each moment at which it will be asked."""
        votes = {moment: SessionVotes.before(known, moment) for moment in moments} if self.reads_votes else {}
        return partial(self._affinity_P, votes)

    def _affinity_P(
        self,
        votes: Mapping[int, SessionVotes],
        history: History,
        own: OwnTags,
        pairs: Pairs,
        share_T: Floats,
        moment: int,
    ) -> Floats:
        rows_PF = _rows_PF(history, own, pairs, share_T, moment, self.actions, votes.get(moment))
        mean_P = np.mean([margin_N(trees, rows_PF) for trees in self.forests], axis=0)
        return self.calibration.apply(np.asarray(expit(mean_P)))


def _rows_PF(
    history: History,
    own: OwnTags,
    pairs: Pairs,
    share_T: Floats,
    moment: int,
    actions: tuple[str, ...],
    votes: SessionVotes | None,
) -> Floats:
    rows_PF = features_PF(history, own, pairs, share_T, moment, actions)
    return np.column_stack([rows_PF, votes.columns_P2(history, pairs)]) if votes else rows_PF


@dataclass(frozen=True, eq=False)
class Examples:
    """The pairs of a labelled window with their features."""

    window: LabeledWindow
    rows_PF: Floats

    @property
    def fold_P(self) -> Ints:
        fold_U = stable_hash(self.window.past.user_id_U) % FORESTS
        return np.asarray(fold_U[self.window.pairs.user_P])


def examples(window: LabeledWindow, all_users: History, actions: tuple[str, ...]) -> Examples:
    """all_users: known at the cutoff of the window; later events are ignored."""
    votes = SessionVotes.before(all_users, window.cutoff)
    rows_PF = _rows_PF(window.past, window.own, window.pairs, window.share_T, window.cutoff, actions, votes)
    return Examples(window, rows_PF)


def grow(
    settings: BoostingSettings,
    training: Sequence[Examples],
    actions: tuple[str, ...],
    progress: ProgressCallback = no_callback,
) -> Forest:
    """Return the forests, calibrated on the newest window.

    Older windows come from a younger log, in which users seem to have done less; the newest is most like today. Only
    the pairs that a profile would publish count. A fold without users, or without whom all labels are of one class, has
    no forest.

    training: oldest first. progress: called after each fold.
    Raises ValueError if no fold can be left out.
    """
    rows_PF = np.concatenate([one.rows_PF for one in training])
    is_touched_P = np.concatenate([one.window.is_touched_P for one in training])
    fold_P = np.concatenate([one.fold_P for one in training])
    newest = training[-1].window
    is_newest_P = np.arange(len(fold_P)) >= len(fold_P) - len(newest.pairs)
    held_out_P = np.full(len(fold_P), np.nan)
    forests = []
    for fold in range(FORESTS):
        is_out_P = fold_P == fold
        progress(f"growing boosted trees, {fold + 1} of {FORESTS}")
        if not is_out_P.any() or is_touched_P[~is_out_P].all() or not is_touched_P[~is_out_P].any():
            continue
        rows = training_rows(rows_PF[~is_out_P], is_touched_P[~is_out_P])
        validation = training_rows(rows_PF[is_out_P], is_touched_P[is_out_P], like=rows)
        forests.append(grow_until_best(settings, rows, validation, fold))
        held_out_P[is_out_P] = expit(margin_N(forests[-1], rows_PF[is_out_P]))
    if not forests:
        raise ValueError(f"no fold of users can be left out: found {len(fold_P)} pairs, expected users in two folds")
    probability_P = held_out_P[is_newest_P]
    predicted = np.flatnonzero(~np.isnan(probability_P))
    best = top(
        INTERESTS_PER_USER, newest.pairs.user_P[predicted], probability_P[predicted], newest.pairs.tag_P[predicted]
    )
    published = predicted[best]
    calibration = fit_calibration(probability_P[published], newest.is_touched_P[published])
    return Forest(actions, tuple(forests), calibration)


def write_forest(forest: Forest, folder: Path) -> None:
    """Write the files of a forest into an existing folder."""
    description = {
        "format": FORMAT,
        "actions": forest.actions,
        "features": forest.features,
        "forests": len(forest.forests),
        "calibration": {"predicted": forest.calibration.predicted, "observed": forest.calibration.observed},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    for number, trees in enumerate(forest.forests):
        trees.save_model(_trees(folder, number))


def read_forest(folder: Path) -> Forest:
    """Read what `write_forest` wrote. Raises InputError for another format, or for features other than today's."""
    description = json.loads((folder / DESCRIPTION).read_text())
    found = description.get("format", 1)
    if found not in (FORMAT, FORMAT_OF_ONE_FOREST):
        raise InputError(
            f"the model in {folder} is saved in format {found}, expected {FORMAT}: another release wrote it; "
            f"train again, or score with --model none"
        )
    calibration = description["calibration"]
    files = (
        [folder / "trees.ubj"]
        if found == FORMAT_OF_ONE_FOREST
        else [_trees(folder, number) for number in range(description["forests"])]
    )
    forest = Forest(
        tuple(description["actions"]),
        tuple(read_trees(file) for file in files),
        Calibration(tuple(calibration["predicted"]), tuple(calibration["observed"])),
        reads_votes=found == FORMAT,
    )
    if tuple(description["features"]) != forest.features:
        unlike = sorted(set(description["features"]).symmetric_difference(forest.features))
        raise InputError(
            f"the model in {folder} uses other features than this version computes "
            f"({', '.join(unlike) or 'in another order'}): train again, or score with --model none"
        )
    return forest


def _trees(folder: Path, number: int) -> Path:
    return folder / f"trees-{number}.ubj"


@dataclass(frozen=True, eq=False)
class Boosting1:
    """A Scorer. Events at the end of the as-of day or later do not exist for it."""

    version: str
    forest: Forest
    counts: Counts1
    affinity_of: AffinityOfPairs  # of the forest, at the end of the day and a horizon before

    @classmethod
    def of_day(cls, version: str, forest: Forest, counts: Counts1, known: History) -> "Boosting1":
        """known: the users of the day's fit; their sessions vote."""
        moments = (counts.end, counts.end - counts.horizon_days * MICROS_PER_DAY)
        return cls(version, forest, counts, forest.affinity_of(known, moments))

    @property
    def horizon_days(self) -> int:
        return self.counts.horizon_days

    def parameters(self) -> Mapping[str, Any]:
        trees = [one.num_boosted_rounds() for one in self.forest.forests]
        return {"trees": trees, "counts-1": self.counts.parameters()}

    def score(self, history: History) -> Scores:
        """Return the scores of every user; evidence, items and the return are those of counts-1."""
        return self.counts.score_by(self.affinity_of, history)


@dataclass(frozen=True, eq=False)
class SavedForest:
    """A SavedModel."""

    forest: Forest
    kind: str = KIND

    @classmethod
    def read(cls, folder: Path) -> "SavedForest":
        """Raises InputError as `read_forest` does."""
        return cls(read_forest(folder))

    def scorer(self, version: str, counts: Counts1, known: History) -> Boosting1:
        return Boosting1.of_day(version, self.forest, counts, known)

    def fitted_as_of(self, counts: Counts1, known: History) -> AffinityRanker:
        return AffinityRanker(self.forest.affinity_of(known, (counts.end,)), counts.popularity, counts.end)

    def save(self, folder: Path) -> None:
        write_forest(self.forest, folder)
