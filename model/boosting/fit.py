"""Grows the forest of boosting-1 from lessons. Shape letters: P pairs of user and tag, F features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from model.arrays import Bools, Floats
from model.boosting.features import features_PF
from model.boosting.forest import Forest
from model.boosting.recipe import MOST_ACTIONS, PATIENCE, SEED, Recipe
from model.boosting.trees import Trees, trees_of
from model.counts.calibration import AS_STATED, Calibration, fit_calibration
from model.counts.lesson import Lesson
from model.metrics import ndcg_at
from model.ranking import top
from model.scorer import INTERESTS_PER_USER
from model.user_hash import stable_hash


@dataclass(frozen=True, eq=False)
class Examples:
    """A lesson as rows to learn from."""

    lesson: Lesson
    features_PF: Floats

    @property
    def is_touched_P(self) -> Bools:
        return self.lesson.is_touched_P

    def of_users(self, is_wanted_U: Bools) -> tuple[Floats, Bools]:
        is_wanted_P = is_wanted_U[self.lesson.pairs.user_P]
        return self.features_PF[is_wanted_P], self.is_touched_P[is_wanted_P]


@dataclass(frozen=True)
class Choice:
    """What one recipe reached on the validation cut, with as many trees as served it best."""

    recipe: Recipe
    ndcg_at_10: float


def usual_actions(lessons: Sequence[Lesson]) -> tuple[str, ...]:
    """Name the most frequent actions of the past of the lessons, most frequent first."""
    names = np.concatenate([lesson.past.action_A[lesson.past.action_E] for lesson in lessons])
    action_A, events_A = np.unique(names, return_counts=True)
    return tuple(str(action) for action in action_A[np.lexsort((action_A, -events_A))][:MOST_ACTIONS])


def examples(lesson: Lesson, actions: tuple[str, ...]) -> Examples:
    rows_PF = features_PF(lesson.past, lesson.own, lesson.pairs, lesson.share_T, lesson.cut, actions)
    return Examples(lesson, rows_PF)


def try_recipes(recipes: Sequence[Recipe], taught: Sequence[Examples], validation: Examples) -> Iterator[Choice]:
    """Yield what each recipe reaches on the validation cut, which also stops its growth."""
    for recipe in recipes:
        fitted = _classifier(recipe, stops_early=True).fit(
            *_rows(taught), X_val=validation.features_PF, y_val=validation.is_touched_P
        )
        trees = max(1, int(np.argmax(fitted.validation_score_)))  # its first entry is of no trees
        probability_P = trees_of(fitted).first(trees).probability_P(validation.features_PF)
        lesson = validation.lesson
        ndcg = ndcg_at(
            10, lesson.pairs.user_P, probability_P, lesson.pairs.tag_P, lesson.is_touched_P, lesson.touched_tags_U
        )
        yield Choice(replace(recipe, trees=trees), ndcg)


def grow(recipe: Recipe, taught: Sequence[Examples], actions: tuple[str, ...]) -> Forest:
    """Return the forest of this recipe, calibrated on its newest lesson.

    taught: oldest first.
    """
    return Forest(actions, _grown(recipe, *_rows(taught)), _calibration(recipe, taught))


def _calibration(recipe: Recipe, taught: Sequence[Examples]) -> Calibration:
    """Bend by the newest lesson, of each half of its users as told by a forest that saw only the other half of it.

    Older lessons come from a younger log, in which everybody seems to have done less; the newest is most like today.
    """
    newest, older = taught[-1], taught[:-1]
    is_second_half_U = stable_hash(newest.lesson.past.user_id_U) % 2 == 1
    probability_P = np.zeros(len(newest.is_touched_P))
    for is_asked_U in (is_second_half_U, ~is_second_half_U):
        is_asked_P = is_asked_U[newest.lesson.pairs.user_P]
        seen_PF, is_touched_P = newest.of_users(~is_asked_U)
        old_PF, was_touched_P = _rows(older) if older else (seen_PF[:0], is_touched_P[:0])
        is_taught_P = np.concatenate([was_touched_P, is_touched_P])
        if not is_asked_P.any() or is_taught_P.all() or not is_taught_P.any():
            return AS_STATED
        trees = _grown(recipe, np.concatenate([old_PF, seen_PF]), is_taught_P)
        probability_P[is_asked_P] = trees.probability_P(newest.features_PF[is_asked_P])
    pairs = newest.lesson.pairs
    published = top(INTERESTS_PER_USER, pairs.user_P, probability_P, pairs.tag_P)
    return fit_calibration(probability_P[published], newest.is_touched_P[published])


def _grown(recipe: Recipe, rows_PF: Floats, is_touched_P: Bools) -> Trees:
    return trees_of(_classifier(recipe, stops_early=False).fit(rows_PF, is_touched_P))


def _classifier(recipe: Recipe, stops_early: bool) -> HistGradientBoostingClassifier:
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
