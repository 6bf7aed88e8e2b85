"""The bench of the planted world trains what the referee's contestant trains, and says what falls short."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from model.data.cutoffs import Split
from model.data.folds import Known, Lessons
from model.evaluation.holdout import Exam, exam_at
from model.transformer.config import SIZES, Recipe
from model.transformer.fit import TransformerContestant
from pipeline.demo.plan import DemoPlan
from tests.bench.ablated import last_sessions
from tests.bench.planted import PATHS, falls_short
from tests.bench.planted_course import Course, altered
from tests.bench.planted_markdown import markdown
from tests.bench.planted_world import planted_world
from tests.bench.public_sets.tag_bench import known_of

SPLIT = Split((date(2026, 1, 13),), date(2026, 1, 20), date(2026, 1, 27), 7)
QUICK = Recipe(epochs=1)


@pytest.fixture(scope="module")
def known() -> Known:
    return known_of(planted_world(DemoPlan(users=25)).history, SPLIT)


@pytest.fixture(scope="module")
def exam(known: Known) -> Exam:
    return exam_at(known, SPLIT, SPLIT.test)


def test_the_bench_trains_what_the_contestant_trains(known: Known, exam: Exam) -> None:
    taught = Lessons(known, SPLIT).by(known, SPLIT.test)
    paths = (PATHS[0], PATHS[2])  # trees take long
    contestant = TransformerContestant(cuts_a_window=2, recipe=QUICK, paths=paths)
    expected = contestant.prepare(taught, exam.everybody, exam.moment)
    course = Course.of(known, SPLIT, exam, paths, 2, SIZES["laptop"])
    network, _ = course.trained(QUICK, lambda progress: None)
    np.testing.assert_array_equal(course.ranker(network).strength_UT(exam.asked), expected.strength_UT(exam.asked))


def test_the_last_session_twin_reads_one_session_at_each_cut(known: Known, exam: Exam) -> None:
    course = Course.of_last_sessions(known, SPLIT, exam, PATHS, 2, SIZES["laptop"])
    whole = Course.of(known, SPLIT, exam, PATHS, 2, SIZES["laptop"])
    assert [window.cut_C.tolist() for window in course.windows] == [[cut] for cut in whole.windows[0].cut_C]
    for number, window in enumerate(course.windows):
        assert window.tokens.session_N.max() == 0 and window.tokens.at_N.max() < window.cut_C[0]
        of_whole = whole.windows[0].row_N % len(course.windows) == number
        assert sorted(window.tag_N) == sorted(whole.windows[0].tag_N[of_whole])
        assert sorted(window.touches_N) == sorted(whole.windows[0].touches_N[of_whole])


def test_a_past_of_other_users_is_refused(exam: Exam) -> None:
    assert altered(exam, last_sessions(exam.asked, 1)).users == exam.users
    is_kept_U = np.arange(exam.users) > 0
    with pytest.raises(ValueError, match="somebody else's"):
        altered(exam, exam.asked.of_users(is_kept_U))


def row(name: str, difference: float, **facts: Any) -> dict[str, Any]:
    metrics = ("planted_at_3", "planted_at_5", "ndcg_at_10", "f1_at_5", "recall_at_10")
    interval = {"mean": difference, "low": difference - 0.01, "high": difference + 0.01}
    return {
        "name": name,
        "ece": None,
        "seconds": 1.0,
        "metrics": {metric: {"mean": 0.5} for metric in metrics},
        "above_reference": dict.fromkeys(metrics, interval),
        **facts,
    }


def test_what_falls_short_is_told() -> None:
    result = {
        "methods": [
            row("Transformer, seed 1", 0.0, is_seed=True, seconds=181.0),
            row("Transformer, seed 2", 0.0, is_seed=True, seconds=179.0),
            row("counts-1", -0.02, is_baseline=True),
            row("boosted-ranking", -0.005, is_baseline=True),
        ],
        "ablations": [
            row("last session", -0.3, kind="shown"),
            row("last session only", -0.05, kind="trained anew"),
            row("last 2 sessions", 0.0, kind="shown"),
        ],
    }
    told = falls_short(result)
    assert [line.split(",")[0] for line in told] == [
        "Transformer",
        "planted interests at 3: boosted-ranking lies -0.0050 (-0.0150 to +0.0050) from the Transformer",
        "planted interests at 3: last session only (trained anew) loses 0.0500",
    ]


def test_the_tables_have_a_line_for_each() -> None:
    told = markdown(
        {
            "asked": {"lively_users": 7, "judging_users": 9},
            "config": {"split": {"test": "2026-01-27"}},
            "methods": [row("counts-1", -0.02)],
            "ablations": [row("last session", -0.3, kind="shown")],
            "ablations_without_paths": [],
        }
    )
    assert told.count("**") == 4
    assert "| counts-1 | 0.5000 (-0.0200: -0.0300 to -0.0100) |" in told and "| – | 1 |" in told
    assert "| last session | shown | 0.5000 (-0.3000: -0.3100 to -0.2900) |" in told
