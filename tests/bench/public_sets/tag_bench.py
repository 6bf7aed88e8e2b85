"""Evaluation on a whole log: its history as of each day, and the days of training, validation and test.

Shape letters: see model/data/history.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from model.data.cutoffs import Cutoffs
from model.data.days import end_of_day
from model.data.folds import Histories
from model.data.history import History
from model.evaluation.backtest import Evaluation, evaluate
from model.evaluation.results import EvaluationResult
from model.interfaces import Model
from model.metrics import mean_of_users
from tests.bench.public_sets.results import MethodResult, TaskResult

HORIZON_DAYS = 1
METRICS = ("recall_at_10", "capped_recall_at_10", "ndcg_at_10", "f1_at_5")


def daily_split(test: date, train_days: int) -> Cutoffs:
    """Return windows of one day: the test window follows the day `test`, the others precede it day by day."""
    days = [test - timedelta(days=back) for back in range(train_days + 1, -1, -1)]
    return Cutoffs(tuple(days[:-2]), days[-2], days[-1], HORIZON_DAYS)


def known_of(history: History, split: Cutoffs) -> Histories:
    """Return the history at the end of each day of `split`; an event is known once it has happened."""
    days = {*split.all, *(split.end_of(cutoff) for cutoff in split.all)}
    return {day: _known_at_end_of(history, day) for day in sorted(days)}


def _known_at_end_of(history: History, day: date) -> History:
    known = history.before(end_of_day(day))
    known = known.of_users(known.event_counts_U() > 0)
    last_at_U = np.full(known.users, np.iinfo(np.int64).min)
    np.maximum.at(last_at_U, known.user_E, known.at_E)
    return replace(known, event_count_U=known.event_counts_U(), last_event_at_U=last_at_U)


def bench_tags(
    task: str,
    history: History,
    split: Cutoffs,
    families: Mapping[str, Sequence[Model]],
    progress: Callable[[str], None],
) -> TaskResult:
    """Tune and evaluate each grid. progress: called with the current activity."""
    found = evaluate(known_of(history, split), split, families, progress=lambda doing: progress(f"{task}: {doing}"))
    return task_result(task, found, families)


def task_result(task: str, found: Evaluation, families: Mapping[str, Sequence[Model]]) -> TaskResult:
    return TaskResult(
        task=task,
        input={
            **found.split.as_json(),
            "users": found.users,
            "test_users": found.test_users,
            "tags": found.tags,
            "protocol": "tags touched in the window, all tags",
        },
        families={name: [dict(one.settings()) for one in family] for name, family in families.items()},
        methods=[_method(row.result, found.tried[row.result.name]) for row in reversed(found.leaderboard.rows)],
    )


def _method(result: EvaluationResult, tried: Sequence[Mapping[str, object]]) -> MethodResult:
    return MethodResult(
        method=result.name,
        settings=result.settings,
        metrics={metric: mean_of_users(result.value_of[metric]) for metric in METRICS},
        tried=tried,
        tuning_seconds=result.cost.tuning,
        preparing_seconds=result.cost.preparing,
        scoring_seconds=result.cost.scoring,
    )
