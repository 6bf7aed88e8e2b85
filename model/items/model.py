"""items-1: the probability that a user touches an item within the horizon, by boosted trees over pairs of both.

It knows a user's own items, the items of the user's interests, those of similar sessions (V-SKNN) and popular ones.
The trees stop growing by a fifth of the users, who also calibrate. Popularity and sessions are those of the day that is
scored, so a saved model holds no row of a user.

Shape letters: U users, P pairs of user and item, K top items (a user's together, best first), T tags, F features,
N top items that are new to their user, R possible reasons.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from model.boosting.trees import BoostingSettings, grow_until_best, probability_N, read_trees, shapley_NF, training_rows
from model.boosting.votes import MIN_VOTE
from model.calibration import Calibration, fit_calibration
from model.counts.model import Counts1
from model.counts.reasons import NONE, Interests, interest_behind_K, tags_of
from model.data.arrays import Bools, Floats, Ints, top
from model.data.history import NO_ITEM, History
from model.data.labels import LabeledWindow
from model.data.scores import FOLLOWED, INTEREST, ITEMS_PER_USER, POPULAR, REPEAT, Reasons, Scores
from model.data.users import stable_hash
from model.errors import InputError
from model.interfaces import Scorer
from model.items.features import ITEM_FEATURES, ItemPairs, ItemsOfDay

KIND = "items-1"
SETTINGS = BoostingSettings(learning_rate=0.1, leaves=16, least_weight_in_leaf=10.0, penalty=1.0, trees=300)
ONE_HELD_OUT_OF = 5  # users
DESCRIPTION, TREES = "model.json", "trees.ubj"
FORMAT = 1  # of the saved files


@dataclass(frozen=True, eq=False)
class ItemTrees:
    """Fitted trees; a model of the registry, of its own kind."""

    trees: xgboost.Booster
    calibration: Calibration

    @property
    def kind(self) -> str:
        return KIND

    def probability_P(self, candidates: ItemPairs) -> Floats:
        return self.calibration.apply(probability_N(self.trees, candidates.features_PF))

    def save(self, folder: Path) -> None:
        """Write the files of the model, none of them code, into an existing folder."""
        description = {
            "format": FORMAT,
            "features": ITEM_FEATURES,
            "calibration": {"predicted": self.calibration.predicted, "observed": self.calibration.observed},
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
        self.trees.save_model(folder / TREES)

    @classmethod
    def read(cls, folder: Path) -> "ItemTrees":
        """Read what `save` wrote. Raises InputError for another format, or for features other than today's."""
        description = json.loads((folder / DESCRIPTION).read_text())
        if description["format"] != FORMAT or tuple(description["features"]) != ITEM_FEATURES:
            raise InputError(
                f"the model in {folder} has format {description['format']} and features "
                f"{', '.join(description['features'])}; expected format {FORMAT} and {', '.join(ITEM_FEATURES)}: "
                f"train again, or score with --model none"
            )
        calibration = description["calibration"]
        return cls(
            read_trees(folder / TREES), Calibration(tuple(calibration["predicted"]), tuple(calibration["observed"]))
        )


@dataclass(frozen=True, eq=False)
class ItemExamples:
    """The candidates at the cutoff of a labelled window of items, and which of them were touched in it."""

    candidates: ItemPairs
    is_touched_P: Bools
    is_held_out_P: Bools  # of users by whom the trees stop growing


def item_examples(window: LabeledWindow, candidates: ItemPairs) -> ItemExamples:
    """window: its tags are items. candidates: of the users of its past, in their order."""
    pairs = candidates.pairs
    code_I = np.searchsorted(candidates.item_I, window.past.tag_T)
    key_H = window.touched.user_P * pairs.tags + code_I[window.touched.tag_P]
    is_held_out_U = stable_hash(window.past.user_id_U) % ONE_HELD_OUT_OF == 0
    return ItemExamples(candidates, np.isin(pairs.key_P, key_H), is_held_out_U[pairs.user_P])


def fit_items(training: Sequence[ItemExamples]) -> ItemTrees | None:
    """Return the model fitted to all examples and calibrated on the newest; None where all labels are of one class.

    training: oldest first.
    """
    features_PF = np.concatenate([one.candidates.features_PF for one in training])
    is_touched_P = np.concatenate([one.is_touched_P for one in training])
    is_out_P = np.concatenate([one.is_held_out_P for one in training])
    if any(len(np.unique(is_touched_P[part])) < 2 for part in (is_out_P, ~is_out_P)):
        return None
    rows = training_rows(features_PF[~is_out_P], is_touched_P[~is_out_P])
    validation = training_rows(features_PF[is_out_P], is_touched_P[is_out_P], like=rows)
    trees = grow_until_best(SETTINGS, rows, validation, seed=0)
    newest = training[-1]
    out = np.flatnonzero(newest.is_held_out_P)
    pairs = newest.candidates.pairs
    predicted_P = probability_N(trees, newest.candidates.features_PF[out])
    published = top(ITEMS_PER_USER, pairs.user_P[out], predicted_P, pairs.tag_P[out])
    return ItemTrees(trees, fit_calibration(predicted_P[published], newest.is_touched_P[out][published]))


@dataclass(frozen=True, eq=False)
class TopItems:
    """The best items of each user, user after user, best first."""

    user_K: Ints
    item_K: Ints
    probability_K: Floats
    features_KF: Floats


def top_items(trees: ItemTrees, candidates: ItemPairs) -> TopItems:
    pairs, probability_P = candidates.pairs, trees.probability_P(candidates)
    chosen_K = top(ITEMS_PER_USER, pairs.user_P, probability_P, pairs.tag_P)
    return TopItems(
        pairs.user_P[chosen_K],
        candidates.item_I[pairs.tag_P[chosen_K]].astype(np.int64),
        probability_P[chosen_K],
        candidates.features_PF[chosen_K],
    )


def reasons(trees: ItemTrees, of_day: ItemsOfDay, known: History, interests: Interests, best: TopItems) -> Reasons:
    """Return the reason of each item: REPEAT for an own item, else that whose feature has the largest Shapley value.

    An interest is a reason only if sessions are its evidence, and FOLLOWED only if sessions vote.
    """
    kind_K = np.full(len(best.user_K), REPEAT, dtype=object)
    new = np.flatnonzero(best.features_KF[:, ITEM_FEATURES.index("is_own")] == 0)
    user_N, item_N, features_NF = best.user_K[new], best.item_K[new], best.features_KF[new]
    value_of = dict(zip(ITEM_FEATURES, shapley_NF(trees.trees, features_NF).T, strict=True))
    interest_N = interest_behind_K(user_N, item_N, interests, of_day.of_tags)
    has_vote_N = features_NF[:, ITEM_FEATURES.index("log_session_vote")] > np.log(MIN_VOTE)
    value_NR = np.column_stack(
        [
            value_of["log_popularity_of_others"],
            np.where(interest_N == NONE, -np.inf, value_of["log_interest"]),
            np.where(has_vote_N, value_of["log_session_vote"], -np.inf),
        ]
    )
    kind_N = np.array([POPULAR, INTEREST, FOLLOWED], dtype=object)[value_NR.argmax(axis=1)]
    kind_K[new] = kind_N
    tag_K = np.full(len(kind_K), None, dtype=object)
    tag_K[new] = tags_of(interests, interest_N, kind_N == INTEREST)
    followed_K = np.full(len(kind_K), NO_ITEM)
    follows = np.flatnonzero(kind_N == FOLLOWED)
    followed_K[new[follows]] = of_day.followed_K(known, user_N[follows], item_N[follows])
    return Reasons(kind_K, tag_K, followed_K)


@dataclass(frozen=True, eq=False)
class WithItems:
    """A Scorer: the profiles of another scorer, with the top items of items-1."""

    scorer: Scorer
    items: str  # the version of items-1
    trees: ItemTrees
    of_day: ItemsOfDay

    @classmethod
    def of(cls, scorer: Scorer, items: str, trees: ItemTrees, counts: Counts1, known: History) -> "WithItems":
        """counts: of the day. known: the users to whom they were fitted; their sessions vote."""
        of_day = ItemsOfDay.before(known, counts.popularity, counts.end, counts.horizon_days)
        return cls(scorer, items, trees, of_day)

    @property
    def version(self) -> str:
        return self.scorer.version

    @property
    def horizon_days(self) -> int:
        return self.scorer.horizon_days

    def parameters(self) -> Mapping[str, Any]:
        return {**self.scorer.parameters(), "items": self.items}

    def score(self, history: History) -> Scores:
        scores = self.scorer.score(history)
        known, interests = history.before(self.of_day.moment), Interests.of(scores)
        best = top_items(self.trees, self.of_day.pairs(known, interests))
        return replace(
            scores,
            user_K=best.user_K,
            item_K=best.item_K,
            score_K=best.probability_K,
            reasons=reasons(self.trees, self.of_day, known, interests, best),
        )
