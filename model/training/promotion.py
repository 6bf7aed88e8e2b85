"""Trains challengers, tests them in an evaluation, and refits the one that is promoted.

A challenger wins if its nDCG@10 lies above that of the best opponent, with a 95 % paired bootstrap interval above zero.
Of the winners that rank equally well the best calibrated one is promoted. No challenger sees the test windows before
that decision.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from model.counts.affinity import MIN_USERS
from model.data.cutoffs import MAX_TRAIN_CUTOFFS, Cutoffs
from model.data.days import days_in_words
from model.data.folds import Histories, TrainingWindows
from model.data.labels import LabeledWindow
from model.errors import InputError
from model.evaluation.backtest import evaluate_selected
from model.evaluation.entrants import Fixed, PretrainedCounts, PretrainedVersions, training_data
from model.evaluation.holdout import build_test_set, require_test_users, users_who_answer
from model.evaluation.results import MAIN, EvaluationResult
from model.interfaces import ProgressCallback, SavedModel
from model.metrics import Difference, paired_difference
from model.training.challengers import Challenger, TrainedChallenger


@dataclass(frozen=True, eq=False)
class Comparison:
    """A challenger against the best of its opponents, all tested on the same users."""

    challenger: EvaluationResult
    opponents: tuple[EvaluationResult, ...]
    best: EvaluationResult  # opponent of the highest nDCG@10, the first of equals
    difference: Difference  # nDCG@10 of the challenger minus that of the best opponent

    @property
    def is_won(self) -> bool:
        return self.difference.low > 0

    def as_json(self) -> dict[str, Any]:
        return {
            "figures": {result.name: published_figures(result) for result in (self.challenger, *self.opponents)},
            "best_opponent": self.best.name,
            "ndcg_at_10_difference": asdict(self.difference),
            "is_won": self.is_won,
        }


@dataclass(frozen=True, eq=False)
class Outcome:
    """The test of one challenger."""

    kind: str
    trained: TrainedChallenger
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Promotion:
    """The outcome of a training."""

    cutoffs: Cutoffs
    outcomes: tuple[Outcome, ...]  # one for each challenger
    test_users: int  # who touched a tag in a test window
    refitted: SavedModel | None = None  # the leader, fitted again through the last day; None if it is not saved

    @property
    def leader(self) -> Outcome:
        """Return the winner of the highest nDCG@10, or the best of all challengers if none won.

        If other winners rank equally well, so that the interval of the difference holds zero, it is the one with the
        lowest calibration error.
        """
        won = [outcome for outcome in self.outcomes if outcome.comparison.is_won]
        best = max(won or self.outcomes, key=lambda outcome: outcome.comparison.challenger.figures[MAIN])
        equal = [one for one in won if _ranks_as_well(one.comparison.challenger, best.comparison.challenger)]
        return min(equal, key=lambda one: _calibration_error(one.comparison.challenger), default=best)

    @property
    def results(self) -> list[EvaluationResult]:
        """Return the results of challengers and opponents, best first."""
        challengers = [outcome.comparison.challenger for outcome in self.outcomes]
        return sorted([*challengers, *self.leader.comparison.opponents], key=lambda result: -result.figures[MAIN])

    def as_json(self) -> dict[str, Any]:
        return {
            "through": str(self.cutoffs.last),
            "cutoffs": self.cutoffs.as_json(),
            "test_users": self.test_users,
            "leader": self.leader.kind,
            "challengers": {one.kind: {**one.trained.as_json(), **one.comparison.as_json()} for one in self.outcomes},
        }


def _ranks_as_well(one: EvaluationResult, best: EvaluationResult) -> bool:
    return paired_difference(best.value_of[MAIN], one.value_of[MAIN]).low <= 0


def _calibration_error(result: EvaluationResult) -> float:
    assert result.before is not None, "saved models predict probabilities"
    return result.before.ece


def published_figures(result: EvaluationResult) -> dict[str, float]:
    """Return the figures of a training's table and of its run in MLflow."""
    names = (MAIN, "recall_at_10", "f1_at_5")
    return {**{name: result.figures[name] for name in names}, "ece": _calibration_error(result)}


def compare(challenger: EvaluationResult, opponents: Sequence[EvaluationResult]) -> Comparison:
    best = max(opponents, key=lambda result: result.figures[MAIN])
    difference = paired_difference(challenger.value_of[MAIN], best.value_of[MAIN])
    return Comparison(challenger, tuple(opponents), best, difference)


def steps_of(challengers: Sequence[Challenger]) -> int:
    """Return how often `promote` calls `progress`."""
    return sum(challenger.steps for challenger in challengers) + 3


def promote(
    named: Mapping[str, Challenger],
    cutoffs: Cutoffs,
    histories: Histories,
    champions: Sequence[tuple[str, SavedModel]],
    progress: ProgressCallback,
    saves_loser: bool = False,
) -> Promotion:
    """Train challengers at the first test cutoff, test them, and refit the winner at the end of the last test window.

    named: challengers by the names that they would have as versions.
    champions: models trained through the first test cutoff or earlier; the opponents beside counts-1.
    progress: called before each of `steps_of` steps.
    saves_loser: refit the best challenger also if none won.
    Raises InputError if there are too few users to train or to test.
    """
    progress("building the windows")
    windows = TrainingWindows(histories, cutoffs)
    data = training_data(windows, histories, cutoffs.test)
    for window, cutoff in zip(data.windows, cutoffs.ended_by(cutoffs.test), strict=True):
        _require_training_users(window, cutoff, cutoffs.horizon_days)
    tests = [build_test_set(histories, cutoffs, cutoff) for cutoff in cutoffs.tests]
    require_test_users(tests[-1])
    # More windows than a training has at most made no model better (measured).
    windows_of_refit = min(len(data.windows) + len(tests) - 1, MAX_TRAIN_CUTOFFS + 1)
    newest = training_data(windows, histories, cutoffs.last, at_most=windows_of_refit)
    with ExitStack() as running:
        refits = {name: challenger.background_refit(newest) for name, challenger in named.items()}
        for refit in refits.values():
            if refit:
                running.enter_context(refit)
        trained = {name: challenger.train(data, progress) for name, challenger in named.items()}

        progress(f"testing on {cutoffs.tested_days}")

        def result_of(name: str, saved: SavedModel) -> EvaluationResult:
            entrant = Fixed(PretrainedVersions(name, dict.fromkeys(cutoffs.tests, saved), cutoffs.horizon_days))
            return _tested(evaluate_selected(entrant.selected(), histories, tests))

        counts = _tested(evaluate_selected(Fixed(PretrainedCounts(cutoffs.horizon_days)).selected(), histories, tests))
        opponents = [counts, *(result_of(name, saved) for name, saved in champions)]
        outcomes = tuple(
            Outcome(named[name].kind, one, compare(result_of(name, one.saved), opponents))
            for name, one in trained.items()
        )
        promotion = Promotion(cutoffs, outcomes, users_who_answer(tests))
        leader = promotion.leader
        is_saved = leader.comparison.is_won or saves_loser
        progress(f"refitting {leader.kind} with the test days" if is_saved else "done")
        if not is_saved:
            return promotion
        refit = refits[leader.comparison.challenger.name]
        return replace(promotion, refitted=leader.trained.refit(newest, refit.outcome() if refit else None))


def _tested(result: EvaluationResult | None) -> EvaluationResult:
    assert result is not None, "every model of a training exists at the test cutoff"
    return result


def _require_training_users(window: LabeledWindow, cutoff: date, horizon_days: int) -> None:
    users, touched = window.past.users, int(window.is_touched_P.sum())
    if users < MIN_USERS or not touched or touched == len(window.is_touched_P):
        raise InputError(
            f"too little training data in the {days_in_words(horizon_days)} after {cutoff}: found {users} users known "
            f"by then, {touched} of their {len(window.is_touched_P)} candidate tags touched; expected {MIN_USERS} "
            f"users at least, and tags both touched and not touched; train through a later day"
        )
