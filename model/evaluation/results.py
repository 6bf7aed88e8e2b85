"""The result of one model on the test set, and the leaderboard of several models.

Shape letters: U users, L listed tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.counts.model import VERSION as COUNTS
from model.data.arrays import Floats
from model.evaluation.calibration import Calibrator, brier_score, calibration_error
from model.evaluation.holdout import PUBLISHED, TopK
from model.evaluation.metrics import cohorts, coverage, ranking_values, repeat_and_new_recall, threshold_values
from model.interfaces import FittedModel
from model.metrics import Difference, ReliabilityPoint, mean_of_users, nan_mean, paired_difference, reliability


@dataclass(frozen=True)
class LearningCurve:
    """A value after each step of a training."""

    step: tuple[float, ...]
    value: tuple[float, ...]
    step_name: str = "step"  # such as epoch or tree
    value_name: str = "nDCG@10"

    def __post_init__(self) -> None:
        if len(self.step) != len(self.value):
            raise ValueError(f"a learning curve of {len(self.step)} steps and {len(self.value)} values: expected equal")

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)


def learning_curve_of(model: FittedModel) -> LearningCurve | None:
    """Return the attribute `learning_curve` of a model, None if it has none."""
    return getattr(model, "learning_curve", None)


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
    """One model on the test set. Ranking figures are means over the users who touched a tag in the window."""

    name: str
    settings: Mapping[str, Any]
    value_of: Mapping[str, Floats]  # by metric: one of each user, nan where not defined
    coverage: float
    before: Probabilities | None  # of the scores; None if they are no probabilities
    after: Probabilities | None  # of the calibrated scores; None if nothing could be fitted
    reading: ScoreReading
    cost: Cost
    users_of: Mapping[str, int]  # by cohort: users who touched a tag
    cohort_figures: Mapping[str, Mapping[str, float]]
    learning_curve: LearningCurve | None

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
    top_k: TopK,
    reading: ScoreReading,
    predicts_probabilities: bool,
    cost: Cost,
    learning_curve: LearningCurve | None = None,
) -> EvaluationResult:
    """Return the result of a model's predictions on the test set."""
    test_set = top_k.test_set
    repeat_U, new_U = repeat_and_new_recall(test_set, top_k.place_H, PUBLISHED)
    value_of = {
        **ranking_values(test_set.user_H, top_k.place_H, test_set.answers_U),
        **(threshold_values(top_k, reading.threshold) if reading.threshold is not None else {}),
        "repeat_recall_at_10": repeat_U,
        "new_recall_at_10": new_U,
    }
    members = cohorts(test_set.past)
    return EvaluationResult(
        name=name,
        settings=settings,
        value_of=value_of,
        coverage=coverage(top_k.tag_UL, test_set.tags),
        before=_probabilities(top_k.scores_UL, top_k) if predicts_probabilities else None,
        after=_probabilities(reading.calibrator.apply(top_k.scores_UL), top_k) if reading.calibrator else None,
        reading=reading,
        cost=cost,
        users_of={cohort: int((is_in_U & (test_set.answers_U > 0)).sum()) for cohort, is_in_U in members.items()},
        cohort_figures={
            cohort: {metric: nan_mean(value_of[metric][is_in_U]) for metric in OF_COHORTS}
            for cohort, is_in_U in members.items()
        },
        learning_curve=learning_curve,
    )


def _probabilities(probability_UL: Floats, top_k: TopK) -> Probabilities:
    return Probabilities(
        ece=calibration_error(probability_UL, top_k.is_answer_UL),
        brier=brier_score(probability_UL, top_k),
        points=reliability(probability_UL[:, :PUBLISHED].ravel(), top_k.is_answer_UL[:, :PUBLISHED].ravel()),
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
