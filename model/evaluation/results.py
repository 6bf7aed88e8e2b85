"""The result of one model on one or more test sets, and the leaderboard of several models.

Shape letters: U users, L listed tags, N users of all windows (a user once for each window).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.counts.model import VERSION as COUNTS
from model.data.arrays import Floats, Texts
from model.evaluation.calibration import Calibrator, brier_score
from model.evaluation.holdout import PUBLISHED, TopK
from model.evaluation.metrics import cohorts, coverage, ranking_values, repeat_and_new_recall, threshold_values
from model.metrics import (
    Difference,
    ReliabilityPoint,
    expected_calibration_error,
    mean_of_users,
    nan_mean,
    paired_difference,
    reliability,
)

MAIN = "ndcg_at_10"
WITH_INTERVALS = (MAIN, "recall_at_10", "f1_at_5")
OF_COHORTS = (MAIN, "recall_at_10", "f1_at_5", "repeat_recall_at_10", "new_recall_at_10")


@dataclass(frozen=True, eq=False)
class ScoreReading:
    """How to read scores, fitted at the validation cutoff; None for a model that did not exist then."""

    threshold: float | None
    calibrator: Calibrator | None


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Calibration of the probabilities of each user's ten strongest tags."""

    ece: float
    brier: float  # over all pairs of a user and a tag
    points: Sequence[ReliabilityPoint]

    def as_json(self) -> dict[str, Any]:
        return {"ece": self.ece, "brier": self.brier, "reliability": [point.as_json() for point in self.points]}


@dataclass(frozen=True, eq=False)
class Cost:
    """Seconds."""

    tuning: float  # fit and score every setting at the validation cutoff
    preparing: float  # fit the selected setting at the test cutoff
    scoring: float  # score all test users


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """One model on the test windows. Ranking figures are means over the users who touched a tag in a window."""

    name: str
    settings: Mapping[str, Any]
    value_of: Mapping[str, Floats]  # by metric: the mean over a user's windows, nan where not defined
    coverage: float
    before: Probabilities | None  # of the scores; None if they are no probabilities
    after: Probabilities | None  # of the calibrated scores; None if nothing could be fitted
    reading: ScoreReading
    cost: Cost
    users_of: Mapping[str, int]  # by cohort: users who touched a tag; a user counts in the cohort of each window
    cohort_figures: Mapping[str, Mapping[str, float]]

    @property
    def figures(self) -> dict[str, float]:
        return {
            **{name: nan_mean(value_U) for name, value_U in self.value_of.items()},
            "coverage": self.coverage,
        }

    def interval(self, metric: str) -> Difference:
        """Return the mean over users with its 95 % interval. Raises ValueError if no user has a value."""
        return mean_of_users(self.value_of[metric])


def evaluate_top_k(
    name: str,
    settings: Mapping[str, Any],
    top_ks: Sequence[TopK],
    reading: ScoreReading,
    predicts_probabilities: bool,
    cost: Cost,
) -> EvaluationResult:
    """Return the result of a model's predictions on the test sets of one or more windows, at least one.

    A user of several windows counts once: the windows of one user are no independent observations.
    """
    windows = [_values(top_k, reading.threshold) for top_k in top_ks]
    value_of = {metric: np.concatenate([values[metric] for values in windows]) for metric in windows[0]}
    user_id_N = np.concatenate([top_k.test_set.past.user_id_U for top_k in top_ks])
    touched_N = np.concatenate([top_k.test_set.answers_U > 0 for top_k in top_ks])
    cohorts_of = [cohorts(top_k.test_set.past) for top_k in top_ks]
    members = {cohort: np.concatenate([of[cohort] for of in cohorts_of]) for cohort in cohorts_of[0]}
    return EvaluationResult(
        name=name,
        settings=settings,
        value_of={metric: mean_by_user(user_id_N, value_N) for metric, value_N in value_of.items()},
        coverage=float(np.mean([coverage(top_k.tag_UL, top_k.test_set.tags) for top_k in top_ks])),
        before=_probabilities([top_k.scores_UL for top_k in top_ks], top_ks) if predicts_probabilities else None,
        after=(
            _probabilities([reading.calibrator.apply(top_k.scores_UL) for top_k in top_ks], top_ks)
            if reading.calibrator
            else None
        ),
        reading=reading,
        cost=cost,
        users_of={cohort: len(np.unique(user_id_N[is_in_N & touched_N])) for cohort, is_in_N in members.items()},
        cohort_figures={
            cohort: {
                metric: nan_mean(mean_by_user(user_id_N[is_in_N], value_of[metric][is_in_N])) for metric in OF_COHORTS
            }
            for cohort, is_in_N in members.items()
        },
    )


def _values(top_k: TopK, threshold: float | None) -> dict[str, Floats]:
    """Return the figures of one window by metric, one of each user."""
    test_set = top_k.test_set
    repeat_U, new_U = repeat_and_new_recall(test_set, top_k.place_H, PUBLISHED)
    return {
        **ranking_values(top_k.ranked),
        **(threshold_values(top_k, threshold) if threshold is not None else {}),
        "repeat_recall_at_10": repeat_U,
        "new_recall_at_10": new_U,
    }


def mean_by_user(user_id_N: Texts, value_N: Floats) -> Floats:
    """Return the mean value of each user, ordered by id; nan for a user who has none."""
    user_id_U, user_N = np.unique(user_id_N, return_inverse=True)
    is_known_N = ~np.isnan(value_N)
    known_U = np.bincount(user_N[is_known_N], minlength=len(user_id_U))
    total_U = np.bincount(user_N[is_known_N], value_N[is_known_N], len(user_id_U))
    return np.where(known_U > 0, total_U / np.maximum(known_U, 1), np.nan)


def _probabilities(probability_UL: Sequence[Floats], top_ks: Sequence[TopK]) -> Probabilities:
    """probability_UL: for each window."""
    shown = np.concatenate([values_UL[:, :PUBLISHED].ravel() for values_UL in probability_UL])
    is_answer = np.concatenate([top_k.is_answer_UL[:, :PUBLISHED].ravel() for top_k in top_ks])
    return Probabilities(
        ece=expected_calibration_error(shown, is_answer),
        brier=float(np.mean([brier_score(*window) for window in zip(probability_UL, top_ks, strict=True)])),
        points=reliability(shown, is_answer),
    )


Differences = Mapping[str, Difference]  # by metric


@dataclass(frozen=True, eq=False)
class LeaderboardRow:
    """One model with its 95 % intervals. A model has no difference from itself."""

    result: EvaluationResult
    intervals: Differences
    against_best: Differences | None
    against_counts: Differences | None  # None too if counts-1 is no entrant


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Best first by nDCG@10. The best is chosen on the test days themselves, so its lead is slightly optimistic."""

    rows: tuple[LeaderboardRow, ...]

    @property
    def best(self) -> EvaluationResult:
        return self.rows[0].result

    def of(self, name: str) -> LeaderboardRow | None:
        return next((one for one in self.rows if one.result.name == name), None)


def build_leaderboard(results: Sequence[EvaluationResult]) -> Leaderboard:
    """Compare models tested on the same users by a paired bootstrap over users.

    Raises ValueError if there is no model, or if two have the same name.
    """
    names = [one.name for one in results]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"models {names}: expected at least one, each with a different name")
    ranked = sorted(results, key=lambda one: -one.figures[MAIN])
    best = ranked[0]
    counts = next((one for one in ranked if one.name == COUNTS), None)
    return Leaderboard(
        tuple(
            LeaderboardRow(
                result=one,
                intervals={metric: one.interval(metric) for metric in WITH_INTERVALS},
                against_best=_differences(one, best),
                against_counts=_differences(one, counts),
            )
            for one in ranked
        )
    )


def _differences(one: EvaluationResult, other: EvaluationResult | None) -> Differences | None:
    if other is None or other is one:
        return None
    return {metric: paired_difference(one.value_of[metric], other.value_of[metric]) for metric in WITH_INTERVALS}
