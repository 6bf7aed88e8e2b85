"""How boosting-1 is grown: what is fixed, and what the validation cut chooses among.

Boosted trees as plain arrays, so that a model is numbers in a file and runs no code of the file's.

Shape letters: P rows, F features, K trees, N nodes of all trees.

The part of boosting-1 that is trained and kept. Shape letters: P pairs of user and tag, T tags.

Keeps a forest as two files of plain data: `model.json` and `trees.npz`. Reading them runs no code of theirs.

Grows the forest of boosting-1 from lessons. Shape letters: P pairs of user and tag, F features.

boosting-1 as of one day: affinities from the forest, all else from counts-1 of that day.

boosting-1 as it is kept in the registry.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from model.boosting.features import feature_names, features_PF
from model.calibration import IDENTITY, Calibration, fit_calibration
from model.counts.candidates import AffinityRanker
from model.counts.model import Counts1
from model.counts.publish import scores_by
from model.data.arrays import Bools, Floats, Ints, top
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.pairs import OwnTags, Pairs
from model.data.scores import INTERESTS_PER_USER, Scores
from model.data.users import stable_hash
from model.errors import InputError
from model.metrics import ndcg_at

MAX_TREES = 300
PATIENCE = 20  # trees without a lower validation loss before growing stops
MAX_ACTIONS = 8
SEED = 1


@dataclass(frozen=True)
class BoostingSettings:
    """Settings of one forest of boosted trees."""

    learning_rate: float
    leaves: int
    fewest_pairs_in_leaf: int
    penalty: float  # of the squares of leaf values
    trees: int = MAX_TREES

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


SETTINGS_GRID = (
    BoostingSettings(learning_rate=0.06, leaves=7, fewest_pairs_in_leaf=200, penalty=1.0),
    BoostingSettings(learning_rate=0.06, leaves=15, fewest_pairs_in_leaf=200, penalty=10.0),
    BoostingSettings(learning_rate=0.06, leaves=31, fewest_pairs_in_leaf=100, penalty=10.0),
)

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


@dataclass(frozen=True, eq=False)
class Forest:
    """An AffinityOfPairs. What was popular is no part of it: it is of the day scored, as for counts-1."""

    actions: tuple[str, ...]  # counted one by one
    trees: Trees
    calibration: Calibration

    def __call__(self, history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int) -> Floats:
        """Return the probability that each pair is touched within 7 days after `moment`."""
        features = features_PF(history, own, pairs, share_T, moment, self.actions)
        return self.calibration.apply(self.trees.probability_P(features))


DESCRIPTION = "model.json"
TREES = "trees.npz"
ARRAYS = tuple(field.name for field in fields(Trees) if field.name != "baseline")


def write_forest(forest: Forest, folder: Path) -> None:
    """Write the files of a forest into an existing folder."""
    told = {
        "actions": forest.actions,
        "features": feature_names(forest.actions),
        "baseline": forest.trees.baseline,
        "calibration": {"predicted": forest.calibration.predicted, "observed": forest.calibration.observed},
    }
    (folder / DESCRIPTION).write_text(json.dumps(told, indent=2) + "\n")
    np.savez_compressed(folder / TREES, allow_pickle=False, **{name: getattr(forest.trees, name) for name in ARRAYS})


def read_forest(folder: Path) -> Forest:
    """Read what `write_forest` wrote. Raises InputError if it looks at other features than this code computes."""
    told = json.loads((folder / DESCRIPTION).read_text())
    actions = tuple(told["actions"])
    unlike = sorted(set(told["features"]).symmetric_difference(feature_names(actions)))
    if unlike or tuple(told["features"]) != feature_names(actions):
        raise InputError(
            f"the model in {folder} looks at other features than this version computes "
            f"({', '.join(unlike) or 'in another order'}): train again, or score with --model none"
        )
    with np.load(folder / TREES, allow_pickle=False) as arrays:
        trees = Trees(baseline=float(told["baseline"]), **{name: arrays[name] for name in ARRAYS})
    calibration = told["calibration"]
    return Forest(actions, trees, Calibration(tuple(calibration["predicted"]), tuple(calibration["observed"])))


@dataclass(frozen=True, eq=False)
class Examples:
    """A lesson as rows to learn from."""

    window: LabeledWindow
    features_PF: Floats

    @property
    def is_touched_P(self) -> Bools:
        return self.window.is_touched_P

    def of_users(self, is_wanted_U: Bools) -> tuple[Floats, Bools]:
        is_wanted_P = is_wanted_U[self.window.pairs.user_P]
        return self.features_PF[is_wanted_P], self.is_touched_P[is_wanted_P]


@dataclass(frozen=True)
class TriedSettings:
    """What one recipe reached on the validation cut, with as many trees as served it best."""

    recipe: BoostingSettings
    ndcg_at_10: float


def usual_actions(windows: Sequence[LabeledWindow]) -> tuple[str, ...]:
    """Name the most frequent actions of the past of the lessons, most frequent first."""
    names = np.concatenate([window.past.action_A[window.past.action_E] for window in windows])
    action_A, events_A = np.unique(names, return_counts=True)
    return tuple(str(action) for action in action_A[np.lexsort((action_A, -events_A))][:MAX_ACTIONS])


def examples(window: LabeledWindow, actions: tuple[str, ...]) -> Examples:
    rows_PF = features_PF(window.past, window.own, window.pairs, window.share_T, window.cutoff, actions)
    return Examples(window, rows_PF)


def try_settings(
    recipes: Sequence[BoostingSettings], taught: Sequence[Examples], validation: Examples
) -> Iterator[TriedSettings]:
    """Yield what each recipe reaches on the validation cut, which also stops its growth."""
    for recipe in recipes:
        fitted = _classifier(recipe, stops_early=True).fit(
            *_rows(taught), X_val=validation.features_PF, y_val=validation.is_touched_P
        )
        trees = max(1, int(np.argmax(fitted.validation_score_)))  # its first entry is of no trees
        probability_P = trees_of(fitted).first(trees).probability_P(validation.features_PF)
        window = validation.window
        ndcg = ndcg_at(
            10, window.pairs.user_P, probability_P, window.pairs.tag_P, window.is_touched_P, window.touched_tags_U
        )
        yield TriedSettings(replace(recipe, trees=trees), ndcg)


def grow(recipe: BoostingSettings, taught: Sequence[Examples], actions: tuple[str, ...]) -> Forest:
    """Return the forest of this recipe, calibrated on its newest lesson.

    taught: oldest first.
    """
    return Forest(actions, _grown(recipe, *_rows(taught)), _calibration(recipe, taught))


def _calibration(recipe: BoostingSettings, taught: Sequence[Examples]) -> Calibration:
    """Bend by the newest lesson, of each half of its users as told by a forest that saw only the other half of it.

    Older lessons come from a younger log, in which everybody seems to have done less; the newest is most like today.
    """
    newest, older = taught[-1], taught[:-1]
    is_second_half_U = stable_hash(newest.window.past.user_id_U) % 2 == 1
    probability_P = np.zeros(len(newest.is_touched_P))
    for is_asked_U in (is_second_half_U, ~is_second_half_U):
        is_asked_P = is_asked_U[newest.window.pairs.user_P]
        seen_PF, is_touched_P = newest.of_users(~is_asked_U)
        old_PF, was_touched_P = _rows(older) if older else (seen_PF[:0], is_touched_P[:0])
        is_taught_P = np.concatenate([was_touched_P, is_touched_P])
        if not is_asked_P.any() or is_taught_P.all() or not is_taught_P.any():
            return IDENTITY
        trees = _grown(recipe, np.concatenate([old_PF, seen_PF]), is_taught_P)
        probability_P[is_asked_P] = trees.probability_P(newest.features_PF[is_asked_P])
    pairs = newest.window.pairs
    published = top(INTERESTS_PER_USER, pairs.user_P, probability_P, pairs.tag_P)
    return fit_calibration(probability_P[published], newest.is_touched_P[published])


def _grown(recipe: BoostingSettings, rows_PF: Floats, is_touched_P: Bools) -> Trees:
    return trees_of(_classifier(recipe, stops_early=False).fit(rows_PF, is_touched_P))


def _classifier(recipe: BoostingSettings, stops_early: bool) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=recipe.learning_rate,
        max_iter=recipe.trees,
        max_leaf_nodes=recipe.leaves,
        min_samples_leaf=recipe.fewest_pairs_in_leaf,
        l2_regularization=recipe.penalty,
        early_stopping=stops_early,
        n_iter_no_change=PATIENCE,
        scoring="loss",
        random_state=SEED,
    )


def _rows(taught: Sequence[Examples]) -> tuple[Floats, Bools]:
    return (
        np.concatenate([one.features_PF for one in taught]),
        np.concatenate([one.is_touched_P for one in taught]),
    )


KIND = "boosting-1"


@dataclass(frozen=True, eq=False)
class Boosting1:
    """A Scorer. Events at the end of the as-of day or later do not exist for it."""

    version: str
    forest: Forest
    counts: Counts1

    def parameters(self) -> Mapping[str, Any]:
        return {"trees": len(self.forest.trees.root_K), "counts-1": self.counts.parameters()}

    def score(self, history: History) -> Scores:
        """Return the scores of every user; evidence, items and the return are those of counts-1."""
        counts, fitted = self.counts, self.counts.fitted
        return scores_by(self.forest, history, counts.end, counts.popularity, fitted.half_life_days, fitted.returning)


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
