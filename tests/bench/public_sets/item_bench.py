"""Tunes and evaluates baselines of the next item."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from model.baselines.interactions import Interactions
from model.metrics import mean_of_users, nan_mean
from tests.bench.public_sets.item_models import Grid
from tests.bench.public_sets.next_item import (
    TEST,
    VALIDATION,
    ItemModel,
    ItemRanker,
    LeaveOneOut,
    hits_U,
    leave_one_out,
    ndcg_U,
    ranks_U,
)
from tests.bench.public_sets.results import MethodResult, TaskResult

Progress = Callable[[str], None]


def bench_items(
    interactions: Interactions, newest: int, families: Mapping[str, Grid], progress: Progress
) -> TaskResult:
    """Select the settings of each grid on the second last items by nDCG@10, and evaluate them on the last.

    The training data contains neither, as in the papers. In the test the history includes the second last item.
    newest: items of a user that a model may use. progress: called with the current activity.
    """
    validation, test = leave_one_out(interactions, VALIDATION), leave_one_out(interactions, TEST)
    methods = []
    for name, grid in families.items():
        progress(f"next item: tuning {name}, settings to try: {len(grid)}")
        methods.append(_method(grid, validation, test, newest))
    return TaskResult(
        task="next item",
        input={
            "users": interactions.users,
            "items": interactions.items,
            "newest": newest,
            "protocol": "leave one out, all unseen",
        },
        families={name: [dict(one.settings()) for one in grid] for name, grid in families.items()},
        methods=methods,
    )


def _method(grid: Grid, validation: LeaveOneOut, test: LeaveOneOut, newest: int) -> MethodResult:
    started = time.perf_counter()
    best: tuple[float, ItemModel, ItemRanker, float] | None = None
    tried: list[dict[str, Any]] = []
    for model in grid:
        began = time.perf_counter()
        ranker = model.fit(validation.past)
        seconds = time.perf_counter() - began
        ndcg = nan_mean(ndcg_U(ranks_U(ranker, validation, newest)))
        tried.append({"settings": dict(model.settings()), "validation_ndcg_at_10": ndcg})
        if best is None or ndcg > best[0]:
            best = ndcg, model, ranker, seconds
    if best is None:
        raise ValueError("a grid is empty: expected at least one setting")
    _, chosen, ranker, preparing_seconds = best
    tuning_seconds = time.perf_counter() - started
    began = time.perf_counter()
    rank_U = ranks_U(ranker, test, newest)
    return MethodResult(
        method=chosen.name,
        settings=chosen.settings(),
        metrics={"hr_at_10": mean_of_users(hits_U(rank_U)), "ndcg_at_10": mean_of_users(ndcg_U(rank_U))},
        tried=tried,
        tuning_seconds=tuning_seconds,
        preparing_seconds=preparing_seconds,
        scoring_seconds=time.perf_counter() - began,
    )
