"""How one contestant did on one exam. Shape letters: U users, L listed tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.arrays import Floats
from model.bootstrap import Difference, mean_of_users
from model.evaluation.calibration import Calibrator, brier_score, calibration_error
from model.evaluation.cohorts import cohorts, repeat_and_new_recall
from model.evaluation.learning_curve import LearningCurve
from model.evaluation.listing import TOLD, Listing
from model.evaluation.metrics import coverage, ranking_values, threshold_values
from model.evaluation.reliability import Point, reliability
from model.metrics import mean_of_the_defined

MAIN = "ndcg_at_10"
WITH_INTERVALS = (MAIN, "recall_at_10", "f1_at_5")
OF_COHORTS = (MAIN, "recall_at_10", "f1_at_5", "repeat_recall_at_10", "new_recall_at_10")


@dataclass(frozen=True, eq=False)
class Learnt:
    """What the validation cut says of how to read a contestant's strengths; None where it did not stand there."""

    threshold: float | None
    calibrator: Calibrator | None


@dataclass(frozen=True, eq=False)
class Probabilities:
    """How true the probabilities of each user's ten strongest tags are."""

    ece: float
    brier: float  # over all pairs of a user and a tag
    points: Sequence[Point]

    def as_json(self) -> dict[str, Any]:
        return {"ece": self.ece, "brier": self.brier, "reliability": [point.as_json() for point in self.points]}


@dataclass(frozen=True, eq=False)
class Cost:
    """Seconds."""

    tuning: float  # preparing and asking every contestant of the family at the validation cut
    preparing: float  # the chosen one, at the test cut
    scoring: float  # all users of the test cut


@dataclass(frozen=True, eq=False)
class Judged:
    """One contestant on the test cut. Ranking figures are means over the users who touched a tag in the window."""

    name: str
    settings: Mapping[str, Any]
    value_of: Mapping[str, Floats]  # by metric: one of each user, nan where not defined
    coverage: float
    before: Probabilities | None  # None where strengths are no probabilities
    after: Probabilities | None  # None where there was nothing to fit a calibration to
    learnt: Learnt
    cost: Cost
    users_of: Mapping[str, int]  # by cohort: users who touched a tag
    cohort_figures: Mapping[str, Mapping[str, float]]
    learning_curve: LearningCurve | None

    @property
    def figures(self) -> dict[str, float]:
        return {
            **{name: mean_of_the_defined(value_U) for name, value_U in self.value_of.items()},
            "coverage": self.coverage,
        }

    def interval(self, metric: str) -> Difference:
        """Return the mean over users with its 95 % interval. Raises ValueError if no user has a value."""
        return mean_of_users(self.value_of[metric])


def judge(
    name: str,
    settings: Mapping[str, Any],
    listing: Listing,
    learnt: Learnt,
    states_probabilities: bool,
    cost: Cost,
    learning_curve: LearningCurve | None = None,
) -> Judged:
    """Judge what a contestant said at the test cut."""
    exam = listing.exam
    repeat_U, new_U = repeat_and_new_recall(exam, listing.place_H, TOLD)
    value_of = {
        **ranking_values(exam.user_H, listing.place_H, exam.answers_U),
        **(threshold_values(listing, learnt.threshold) if learnt.threshold is not None else {}),
        "repeat_recall_at_10": repeat_U,
        "new_recall_at_10": new_U,
    }
    members = cohorts(exam.asked)
    return Judged(
        name=name,
        settings=settings,
        value_of=value_of,
        coverage=coverage(listing.tag_UL, exam.tags),
        before=_probabilities(listing.strength_UL, listing) if states_probabilities else None,
        after=_probabilities(learnt.calibrator.apply(listing.strength_UL), listing) if learnt.calibrator else None,
        learnt=learnt,
        cost=cost,
        users_of={cohort: int((is_in_U & (exam.answers_U > 0)).sum()) for cohort, is_in_U in members.items()},
        cohort_figures={
            cohort: {metric: mean_of_the_defined(value_of[metric][is_in_U]) for metric in OF_COHORTS}
            for cohort, is_in_U in members.items()
        },
        learning_curve=learning_curve,
    )


def _probabilities(probability_UL: Floats, listing: Listing) -> Probabilities:
    told, is_answer = probability_UL[:, :TOLD].ravel(), listing.is_answer_UL[:, :TOLD].ravel()
    return Probabilities(
        ece=calibration_error(probability_UL, listing.is_answer_UL),
        brier=brier_score(probability_UL, listing),
        points=reliability(told, is_answer),
    )
