"""A whole evaluation: leaderboard, report, tables and configuration hash."""

import json
from collections import defaultdict
from collections.abc import Callable
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from model.boosting.returning import ReturnBoosting
from model.data.cutoffs import Cutoffs
from model.data.folds import Histories, TrainingWindows
from model.errors import InputError
from model.evaluation.backtest import STEPS_PER_ENTRANT, Evaluation, evaluate, evaluate_selected
from model.evaluation.entrants import Fixed, PretrainedCounts, PretrainedVersions
from model.evaluation.holdout import TestSet, build_test_set, users_who_answer
from model.evaluation.metrics import cohorts
from model.evaluation.report import Configuration, configuration, report
from model.evaluation.results import MAIN, EvaluationResult
from model.evaluation.returning import CountsReturning, best_returning, return_auc
from model.evaluation.tables import HEADINGS, last_line, rows, terminal_tables
from model.metrics import paired_difference

Grid = dict[str, list[Any]]


@pytest.fixture(scope="module")
def families(decayed: Callable[..., Any]) -> Grid:
    return {
        "long memory": [decayed(0.02), decayed(20.0), decayed(0.1)],
        "no memory <&": [decayed(0.01)],
        "stated": [decayed(8.0, predicts_probabilities=True)],
    }


@pytest.fixture(scope="module")
def steps() -> list[str]:
    return []


@pytest.fixture(scope="module")
def outcome(known: Histories, windows: Cutoffs, families: Grid, steps: list[str]) -> Evaluation:
    return evaluate(known, windows, families, [PretrainedCounts()], {"counts-1": [CountsReturning()]}, steps.append)


@pytest.fixture(scope="module")
def settings(windows: Cutoffs, families: Grid) -> Configuration:
    return configuration(windows, 42, families, [PretrainedCounts()], ["counts-1"])


def test_the_best_setting_at_the_validation_cutoff_is_tested(outcome: Evaluation) -> None:
    row = outcome.leaderboard.of("long memory")
    assert row is not None and row.result.settings == {"half_life_days": 20.0}
    tried = [one["validation_ndcg_at_10"] for one in outcome.tried["long memory"]]
    assert len(tried) == 3 and tried[1] == max(tried)


def test_the_best_is_first_and_differences_are_paired_by_user(outcome: Evaluation) -> None:
    figures = [row.result.figures[MAIN] for row in outcome.leaderboard.rows]
    assert figures == sorted(figures, reverse=True)
    best, worst = outcome.leaderboard.rows[0], outcome.leaderboard.rows[-1]
    assert worst.result.name == "no memory <&"
    assert best.against_best is None and worst.against_best is not None
    assert worst.against_best[MAIN] == paired_difference(worst.result.value_of[MAIN], best.result.value_of[MAIN])
    assert worst.against_best[MAIN].high < 0
    counts = outcome.leaderboard.of("counts-1")
    assert counts is not None and counts.against_counts is None
    assert worst.against_counts is not None and worst.against_counts[MAIN].high < 0
    assert worst.intervals[MAIN].low < figures[-1] < worst.intervals[MAIN].high


def test_users_without_a_touch_count_for_probabilities_only(outcome: Evaluation) -> None:
    best = outcome.leaderboard.best
    assert 0 < outcome.test_users < outcome.users
    assert int((~np.isnan(best.value_of[MAIN])).sum()) == outcome.test_users
    assert best.after is not None
    assert sum(point.count for point in best.after.points) == 10 * outcome.users
    assert sum(best.users_of.values()) == outcome.test_users


def test_the_users_of_several_windows_count_once(known: Histories, windows: Cutoffs) -> None:
    """One window given twice has the figures of one; of two windows a user has the mean, in a cohort too."""
    counts = PretrainedCounts()
    two = [build_test_set(known, windows, cutoff) for cutoff in (windows.validation, windows.test)]

    def result_of(*tests: TestSet) -> EvaluationResult:
        found = evaluate_selected(Fixed(counts).selected(), known, tests)
        assert found is not None
        return found

    first, last, both = result_of(two[0]), result_of(two[1]), result_of(*two)
    twice = result_of(two[1], two[1])
    assert twice.figures == pytest.approx(last.figures)
    assert twice.before is not None and last.before is not None and both.before is not None
    assert twice.before.ece == pytest.approx(last.before.ece, abs=1e-3)
    assert twice.users_of == last.users_of
    ids = [one.past.user_id_U for one in two]
    everyone = np.union1d(*ids)
    assert len(both.value_of[MAIN]) == len(everyone)
    user = next(user for user in everyone if all(user in of for of in ids))
    values = [one.value_of[MAIN][np.searchsorted(of, user)] for one, of in zip((first, last), ids, strict=True)]
    assert both.value_of[MAIN][np.searchsorted(everyone, user)] == pytest.approx(np.nanmean(values), nan_ok=True)
    assert sum(point.count for point in both.before.points) == 10 * (two[0].users + two[1].users)
    assert users_who_answer(two) == int((~np.isnan(both.value_of[MAIN])).sum())
    for cohort in both.users_of:
        values_of_user = defaultdict(list)
        for one, test_set in zip((first, last), two, strict=True):
            is_in_U = cohorts(test_set.past)[cohort] & np.isfinite(one.value_of[MAIN])
            for user, value in zip(test_set.past.user_id_U[is_in_U], one.value_of[MAIN][is_in_U], strict=True):
                values_of_user[user].append(value)
        assert len(values_of_user) == both.users_of[cohort]
        means = [np.mean(values) for values in values_of_user.values()]
        assert both.cohort_figures[cohort][MAIN] == pytest.approx(np.mean(means) if means else np.nan, nan_ok=True)


def test_calibration_helps_and_scores_have_no_before(outcome: Evaluation) -> None:
    stated, memory = outcome.leaderboard.of("stated"), outcome.leaderboard.of("long memory")
    assert stated is not None and stated.result.before is not None and stated.result.after is not None
    assert stated.result.after.ece < stated.result.before.ece
    assert stated.result.after.brier < stated.result.before.brier
    assert memory is not None and memory.result.before is None and memory.result.after is not None


def test_the_return_is_predicted_better_than_by_chance(outcome: Evaluation) -> None:
    assert 0.6 < outcome.return_auc["counts-1"] <= 1


def test_progress_is_reported_as_often_as_announced(outcome: Evaluation, steps: list[str]) -> None:
    assert len(steps) == 2 + STEPS_PER_ENTRANT * 4
    assert steps[:3] == ["building the windows", "tuning counts-1", "fitting counts-1"]


def test_the_same_again_is_the_same(known: Histories, windows: Cutoffs, families: Grid, outcome: Evaluation) -> None:
    again = evaluate(known, windows, {"long memory": families["long memory"]})
    first = outcome.leaderboard.of("long memory")
    assert first is not None
    for name, value_U in again.leaderboard.best.value_of.items():
        assert np.array_equal(value_U, first.result.value_of[name], equal_nan=True)


def test_a_model_that_did_not_exist_is_left_out(known: Histories, windows: Cutoffs) -> None:
    young = PretrainedVersions("young", {})
    assert [one.result.name for one in evaluate(known, windows, {}, [PretrainedCounts(), young]).leaderboard.rows] == [
        "counts-1"
    ]


def test_no_model_or_two_of_a_name_are_refused(known: Histories, windows: Cutoffs, decayed: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"models \[\]: expected at least one"):
        evaluate(known, windows, {})
    with pytest.raises(ValueError, match="each with a different name"):
        evaluate(known, windows, {"counts-1": [decayed(3.0)]}, [PretrainedCounts()])
    with pytest.raises(ValueError, match="the search space empty has no model"):
        evaluate(known, windows, {"empty": []})


def test_a_test_window_without_events_is_refused(known: Histories, windows: Cutoffs, families: Grid) -> None:
    quiet = {**known, windows.last: known[windows.test]}
    with pytest.raises(InputError, match="too few test users: found 0"):
        evaluate(quiet, windows, families)


def test_the_report_is_strict_json_with_every_figure(outcome: Evaluation, settings: Configuration) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    whole = json.loads(json.dumps(report(outcome, settings, "try-1")), parse_constant=refuse)
    assert whole["configuration_hash"] == settings.hash and len(settings.hash) == 64
    best = whole["models"][0]
    assert best["name"] == whole["best"] == outcome.leaderboard.best.name
    assert best["figures"][MAIN] == pytest.approx(outcome.leaderboard.best.figures[MAIN])
    assert set(best["cohorts"]) == {"cold", "1 session", "2–4 sessions", "5–9 sessions", "10+ sessions"}
    for name in ("precision", "recall", "f1"):
        assert {f"{name}_at_{depth}" for depth in (1, 3, 5, 10, "threshold")} <= set(best["figures"])
    assert {"accuracy", "map", "ndcg_at_5", "coverage", "hit_rate_at_10", "capped_recall_at_10"} <= set(best["figures"])
    stated = next(one for one in whole["models"] if one["name"] == "stated")
    assert {"ece", "brier", "reliability"} == set(stated["before_calibration"])


def test_the_hash_covers_what_determines_the_figures(windows: Cutoffs, families: Grid, settings: Configuration) -> None:
    ready = [PretrainedCounts()]
    assert configuration(windows, 42, families, ready, ["counts-1"]).hash == settings.hash
    others = [
        configuration(windows, 43, families, ready, ["counts-1"]),
        configuration(windows, 42, {**families, "long memory": families["long memory"][:1]}, ready, ["counts-1"]),
        configuration(windows, 42, families, [], ["counts-1"]),
        configuration(
            Cutoffs(windows.train[1:], windows.validation, windows.test, 7), 42, families, ready, ["counts-1"]
        ),
    ]
    assert len({settings.hash, *(other.hash for other in others)}) == 5
    assert "torch" in settings.values["libraries"]


def test_tables_have_a_row_for_each_model(outcome: Evaluation) -> None:
    assert [len(row) for row in rows(outcome)] == [len(HEADINGS)] * 4
    screen = Console(width=120, file=StringIO(), color_system=None)
    for table in terminal_tables(outcome):
        screen.print(table)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert shown.count("long memory") == 3 and "capped recall@10" in shown and "…" not in shown


def test_the_last_line_has_the_best_model_its_lead_and_the_page(outcome: Evaluation) -> None:
    line = last_line(outcome, "home/report.html")
    best, second = outcome.leaderboard.rows[:2]
    assert line.startswith(f"{best.result.name} leads as of 2026-03-24: nDCG@10 .")
    assert f" of {second.result.name}, difference +." in line
    assert line.endswith("]; see home/report.html") and "\n" not in line


def test_the_return_of_the_highest_auc_is_chosen(outcome: Evaluation, known: Histories, windows: Cutoffs) -> None:
    stump, boosted = ReturnBoosting(trees=1, leaves=2), ReturnBoosting(trees=40)
    validation = build_test_set(known, windows, windows.validation)
    windows = TrainingWindows(known, windows).by(known, windows.validation)
    assert return_auc(stump, windows, validation) < return_auc(boosted, windows, validation)
    assert best_returning([stump, boosted], windows, validation) is boosted
    with pytest.raises(ValueError, match="empty grid: found no setting"):
        best_returning([], windows, validation)
