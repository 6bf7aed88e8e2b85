"""One evaluation: tune at the validation cutoff, fit at the test cutoff, check for leakage, test, compare."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.data.cutoffs import Cutoffs
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
)
from model.evaluation.returning import Returning, best_returning, return_auc
from model.interfaces import FittedModel, Model, ProgressCallback, no_callback

STEPS_PER_ENTRANT = 3  # calls of `progress` for each entrant; there is one more at the start and one at the end


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The outcome of an evaluation."""

    split: Cutoffs
    users: int  # in the test set
    test_users: int  # of these, who touched a tag in the test window
    returned_users: int
    tags: int
    leaderboard: Leaderboard
    tried: Mapping[str, Sequence[Mapping[str, object]]]  # by name of the entrant
    return_auc: Mapping[str, float]


def evaluate(
    histories: Histories,
    cutoffs: Cutoffs,
    search_spaces: Mapping[str, Sequence[Model]],
    pretrained: Sequence[Pretrained] = (),
    returning: Mapping[str, Sequence[Returning]] | None = None,
    progress: ProgressCallback = no_callback,
) -> Evaluation:
    """Test the best setting of each search space and every pretrained model on the test window.

    search_spaces: settings of one method by its name. pretrained: models without settings; one that did not exist at
    the test cutoff is left out. returning: settings of the predictors of who returns, by name.
    progress: called before each step, 2 + 3 times the number of entrants.
    Raises InputError if too few users touched a tag in the test or the validation window, LeakError if a model fails a
    leakage check, ValueError if no entrant is left or two have the same name.
    """
    progress("building the windows")
    validation, test = (build_test_set(histories, cutoffs, day) for day in (cutoffs.validation, cutoffs.test))
    require_test_users(validation)
    require_test_users(test)
    windows = TrainingWindows(histories, cutoffs)
    train_windows = windows.by(histories, cutoffs.test)  # built here, so that no entrant's time includes it
    results, tried = [], {}
    for entrant in entrants(search_spaces, pretrained):
        progress(f"tuning {entrant.name}")
        selected = entrant.choose(windows, validation)
        tried[selected.name] = selected.tried
        result = evaluate_selected(selected, histories, [test], progress)
        if result:
            results.append(result)
    progress("comparing")
    earlier_windows = windows.by(histories, cutoffs.validation)
    return Evaluation(
        split=cutoffs,
        users=test.users,
        test_users=test.answering_users,
        returned_users=int(test.has_returned_U.sum()),
        tags=test.tags,
        leaderboard=build_leaderboard(results),
        tried=tried,
        return_auc={
            name: return_auc(best_returning(grid, earlier_windows, validation), train_windows, test)
            for name, grid in (returning or {}).items()
        },
    )


def evaluate_selected(
    selected: Selected, histories: Histories, tests: Sequence[TestSet], progress: ProgressCallback = no_callback
) -> EvaluationResult | None:
    """Return the result of one entrant on one or more test sets, None if it did not exist at the first cutoff.

    progress: called twice. Raises LeakError if the model fails a leakage check at the first cutoff.
    """
    progress(f"fitting {selected.name}")
    started = time.perf_counter()
    models = [selected.fit(histories, test.cutoff) for test in tests]
    seconds = time.perf_counter() - started
    progress(f"testing {selected.name}")
    fitted = [model for model in models if model is not None]
    if len(fitted) < len(tests):
        return None
    first = tests[0]

    def fit_again(histories: Histories) -> FittedModel:
        again = selected.fit_for_leakage_check(histories, first.cutoff)
        assert again is not None, f"{selected.name} existed at {first.cutoff} a moment ago"
        return again

    require_no_future_leak(selected.name, fit_again, histories, first.cutoff)
    require_batch_independence(selected.name, fitted[0], first.past, BATCH_TOLERANCE)
    top_ks = [predict_top_k(model, test) for model, test in zip(fitted, tests, strict=True)]
    return evaluate_top_k(
        selected.name,
        selected.settings,
        top_ks,
        score_reading_of(selected),
        selected.predicts_probabilities,
        Cost(tuning=selected.seconds, preparing=seconds, scoring=sum(top_k.seconds for top_k in top_ks)),
    )


def score_reading_of(selected: Selected) -> ScoreReading:
    """Return the threshold and the calibration fitted to the predictions at the validation cutoff."""
    if selected.validation is None:
        return ScoreReading(None, None)
    return ScoreReading(
        threshold=tuned_threshold(selected.validation),
        calibrator=fit_calibrator(selected.validation, selected.predicts_probabilities),
    )
