"""The bench of the planted world trains the same network as the evaluation, and reports missed goals."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from model.data.cutoffs import Cutoffs
from model.data.folds import Histories, TrainingWindows
from model.evaluation.holdout import TestSet, build_test_set
from model.interfaces import TrainingData
from model.transformer.config import SIZES, TrainingConfig
from model.transformer.fit import TransformerModel
from pipeline.demo.plan import DemoPlan
from tests.bench.perturbed_histories import last_sessions
from tests.bench.planted import PATHS, falls_short
from tests.bench.planted_markdown import markdown
from tests.bench.planted_training import PlantedTraining, perturbed
from tests.bench.planted_world import planted_world
from tests.bench.public_sets.tag_bench import known_of

SPLIT = Cutoffs((date(2026, 1, 13),), date(2026, 1, 20), date(2026, 1, 27), 7)
QUICK = TrainingConfig(epochs=1)


@pytest.fixture(scope="module")
def known() -> Histories:
    return known_of(planted_world(DemoPlan(users=25)).history, SPLIT)


@pytest.fixture(scope="module")
def test_set(known: Histories) -> TestSet:
    return build_test_set(known, SPLIT, SPLIT.test)


def test_the_bench_trains_the_same_network_as_the_model(known: Histories, test_set: TestSet) -> None:
    train = TrainingWindows(known, SPLIT).by(known, SPLIT.test)
    paths = (PATHS[0], PATHS[2])  # trees take long
    model = TransformerModel(cutoffs_per_window=2, training_config=QUICK, stacked_models=paths)
    expected = model.fit(TrainingData(train, test_set.all_users, test_set.moment))
    course = PlantedTraining.of(known, SPLIT, test_set, paths, 2, SIZES["laptop"])
    network, _ = course.trained(QUICK, lambda progress: None)
    np.testing.assert_array_equal(course.ranker(network).scores_UT(test_set.past), expected.scores_UT(test_set.past))


def test_the_last_session_ablation_reads_one_session_at_each_cutoff(known: Histories, test_set: TestSet) -> None:
    course = PlantedTraining.of_last_sessions(known, SPLIT, test_set, PATHS, 2, SIZES["laptop"])
    whole = PlantedTraining.of(known, SPLIT, test_set, PATHS, 2, SIZES["laptop"])
    assert [window.cutoff_C.tolist() for window in course.windows] == [[cutoff] for cutoff in whole.windows[0].cutoff_C]
    for number, window in enumerate(course.windows):
        assert window.tokens.session_N.max() == 0 and window.tokens.at_N.max() < window.cutoff_C[0]
        of_whole = whole.windows[0].row_N % len(course.windows) == number
        assert sorted(window.tag_N) == sorted(whole.windows[0].tag_N[of_whole])
        assert sorted(window.touches_N) == sorted(whole.windows[0].touches_N[of_whole])


def test_a_history_of_other_users_is_refused(test_set: TestSet) -> None:
    assert perturbed(test_set, last_sessions(test_set.past, 1)).users == test_set.users
    is_selected_U = np.arange(test_set.users) > 0
    with pytest.raises(ValueError, match="those of other users"):
        perturbed(test_set, test_set.past.of_users(is_selected_U))


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


def test_missed_goals_are_reported() -> None:
    result = {
        "methods": [
            row("Transformer, seed 1", 0.0, is_seed=True, seconds=181.0),
            row("Transformer, seed 2", 0.0, is_seed=True, seconds=179.0),
            row("counts-1", -0.02, is_baseline=True),
            row("boosted-ranking", -0.005, is_baseline=True),
        ],
        "ablations": [
            row("last session", -0.3, kind="shown"),
            row("last session only", -0.05, kind="trained again"),
            row("last 2 sessions", 0.0, kind="shown"),
        ],
    }
    lines = falls_short(result)
    assert [line.split(",")[0] for line in lines] == [
        "Transformer",
        "planted interests at 3: boosted-ranking lies -0.0050 (-0.0150 to +0.0050) from the Transformer",
        "planted interests at 3: last session only (trained again) loses 0.0500",
    ]


def test_the_tables_have_a_line_for_each() -> None:
    tables = markdown(
        {
            "input": {"lively_users": 7, "test_users": 9},
            "config": {"split": {"test": "2026-01-27"}},
            "methods": [row("counts-1", -0.02)],
            "ablations": [row("last session", -0.3, kind="shown")],
            "ablations_without_paths": [],
        }
    )
    assert tables.count("**") == 4
    assert "| counts-1 | 0.5000 (-0.0200: -0.0300 to -0.0100) |" in tables and "| – | 1 |" in tables
    assert "| last session | shown | 0.5000 (-0.3000: -0.3100 to -0.2900) |" in tables
