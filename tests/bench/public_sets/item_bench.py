"""Tunes and judges baselines of the next item."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from model.baselines.interactions import Interactions
from model.metrics import mean_of_users, nan_mean
from tests.bench.public_sets.item_contestants import Family
from tests.bench.public_sets.next_item import (
    TEST,
    VALIDATION,
    ItemContestant,
    ItemRanker,
    Question,
    hits_U,
    ndcg_U,
    question,
    ranks_U,
)
from tests.bench.public_sets.results import MethodResult, TaskResult

Told = Callable[[str], None]


def bench_items(interactions: Interactions, newest: int, families: Mapping[str, Family], told: Told) -> TaskResult:
    """Choose the settings of each family on the second last items by nDCG@10, and judge them on the last.

    What is fitted has seen neither: published nets have not either. The history that is asked about has, in the test,
    the second last item. newest: items of a user that a method may look at. told: called with what is done.
    """
    validation, test = question(interactions, VALIDATION), question(interactions, TEST)
    methods = []
    for name, family in families.items():
        told(f"next item: tuning {name}, settings to try: {len(family)}")
        methods.append(_method(family, validation, test, newest))
    return TaskResult(
        task="next item",
        asked={
            "users": interactions.users,
            "items": interactions.things,
            "newest": newest,
            "protocol": "leave one out, all unseen",
        },
        families={name: [dict(one.settings()) for one in family] for name, family in families.items()},
        methods=methods,
    )


def _method(family: Family, validation: Question, test: Question, newest: int) -> MethodResult:
    started = time.perf_counter()
    best: tuple[float, ItemContestant, ItemRanker, float] | None = None
    tried: list[dict[str, Any]] = []
    for model in family:
        began = time.perf_counter()
        ranker = model.fit(validation.past)
        seconds = time.perf_counter() - began
        ndcg = nan_mean(ndcg_U(ranks_U(ranker, validation, newest)))
        tried.append({"settings": dict(model.settings()), "validation_ndcg_at_10": ndcg})
        if best is None or ndcg > best[0]:
            best = ndcg, model, ranker, seconds
    if best is None:
        raise ValueError("a family has no contestant: expected one setting at least")
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
