"""The whole evaluation: tune on the validation cut, refit through the test cut, guard, judge, compare."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model.data.cutoffs import Split
from model.data.folds import Histories, TrainingWindows
from model.evaluation.calibration import fit_calibrator
from model.evaluation.entrants import Pretrained, Selected, entrants
from model.evaluation.holdout import TestSet, build_test_set, predict_top_k, require_test_users
from model.evaluation.leakage import BATCH_TOLERANCE, require_batch_independence, require_no_future_leak
from model.evaluation.metrics import tuned_threshold
from model.evaluation.results import (
    Cost,
    EvaluationResult,
    Leaderboard,
    ScoreReading,
    build_leaderboard,
    evaluate_top_k,
    learning_curve_of,
)
from model.evaluation.returning import Returning, best_returning, return_auc
from model.interfaces import FittedModel, Model

ProgressCallback = Callable[[str], None]
STEPS_PER_ENTRANT = 3  # how often `told` is called for each entrant; once more at the start and at the end


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of it."""

    split: Split
    users: int  # asked about at the test cut
    test_users: int  # of these, who touched a tag in the test window
    returned_users: int
    tags: int
    leaderboard: Leaderboard
    tried: Mapping[str, Sequence[Mapping[str, object]]]  # by family
    return_auc: Mapping[str, float]


def evaluate(
    known: Histories,
    split: Split,
    families: Mapping[str, Sequence[Model]],
    ready: Sequence[Pretrained] = (),
    returning: Mapping[str, Sequence[Returning]] | None = None,
    told: ProgressCallback = lambda doing: None,
) -> Evaluation:
    """Judge the best setting of each family and every ready model on the test window of `split`.

    families: settings of one method by its name. ready: models that come as they are; one that did not exist at the
    test cut is left out. returning: settings of who foretells who comes back, by name.
    told: called with what is done before it is, 2 + 3 times the number of entrants.
    Raises InputError if too few users touched a tag in the test window or in the validation window, LeakError if a
    contestant breaks a guard, ValueError if nobody is left to judge or two have the same name.
    """
    told("laying out the windows")
    validation, test = build_test_set(known, split, split.validation), build_test_set(known, split, split.test)
    require_test_users(validation)
    require_test_users(test)
    windows = TrainingWindows(known, split)
    taught = windows.by(known, split.test)  # before anybody's time is taken
    judged, tried = [], {}
    for entrant in entrants(families, ready):
        told(f"tuning {entrant.name}")
        chosen = entrant.choose(windows, validation)
        tried[chosen.name] = chosen.tried
        found = _judged(chosen, known, test, told)
        if found:
            judged.append(found)
    told("comparing")
    taught_before = windows.by(known, split.validation)
    return Evaluation(
        split=split,
        users=test.users,
        test_users=int((test.answers_U > 0).sum()),
        returned_users=int(test.has_returned_U.sum()),
        tags=test.tags,
        leaderboard=build_leaderboard(judged),
        tried=tried,
        return_auc={
            name: return_auc(best_returning(grid, taught_before, validation), taught, test)
            for name, grid in (returning or {}).items()
        },
    )


def _judged(chosen: Selected, known: Histories, test: TestSet, told: ProgressCallback) -> EvaluationResult | None:
    """Return how the chosen one does at the test cut, None where there is nothing of it yet."""
    told(f"preparing {chosen.name}")
    started = time.perf_counter()
    ranker = chosen.fit(known, test.cutoff)
    seconds = time.perf_counter() - started
    told(f"judging {chosen.name}")
    if ranker is None:
        return None

    def fit(known: Histories) -> FittedModel:
        again = chosen.fit_for_leakage_check(known, test.cutoff)
        assert again is not None, f"{chosen.name} was there at {test.cutoff} and is no more"
        return again

    require_no_future_leak(chosen.name, fit, known, test.cutoff)
    require_batch_independence(chosen.name, ranker, test.asked, BATCH_TOLERANCE)
    top_k = predict_top_k(ranker, test)
    return evaluate_top_k(
        chosen.name,
        chosen.settings,
        top_k,
        score_reading_of(chosen),
        chosen.predicts_probabilities,
        Cost(tuning=chosen.seconds, preparing=seconds, scoring=top_k.seconds),
        learning_curve_of(ranker),
    )


def score_reading_of(chosen: Selected) -> ScoreReading:
    """Return how the strengths of an entrant are to be read, by what it said at the validation cut."""
    if chosen.validation is None:
        return ScoreReading(None, None)
    return ScoreReading(
        threshold=tuned_threshold(chosen.validation),
        calibrator=fit_calibrator(chosen.validation, chosen.predicts_probabilities),
    )
