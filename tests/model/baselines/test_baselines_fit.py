"""Baselines that learn from windows learn what there is to learn, and say when there is nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.baselines.next_tag import NextTagByTransition
from model.baselines.simple import OwnCounts
from model.baselines.transition import Bag, TransitionSettings
from model.boosting.ranker import BoostedRanking, LambdaMart
from model.data.arrays import Floats, places_UT
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import LabeledWindow, label_window
from model.interfaces import Model, TrainingData
from model.metrics import paired_difference
from tests.bench.stacked_ranking import StackedRanking

SequencesOf = Callable[..., pa.Table]
WEEK = 7 * MICROS_PER_DAY
BOOSTED = BoostedRanking(
    LambdaMart(trees=60, depth=3, learning_rate=0.1, least_weight_in_leaf=1.0, pair_method="mean", pairs=4)
)
STACKED = StackedRanking(
    replace(BOOSTED.lambda_mart, share_of_rows=0.5, share_of_features=0.5),
    forests=2,
    methods=(NextTagByTransition(TransitionSettings((Bag(0.5, 1),), ridge=1.0)),),
)


def windows_of(some: Any) -> list[LabeledWindow]:
    """Return three weeks in a row, the last of them the newest of the log."""
    history = history_of(some.until(some.last_day))
    cutoffs = [end_of_day(some.last_day) - number * WEEK for number in (3, 2, 1)]
    return [label_window(history, cutoff, cutoff + WEEK) for cutoff in cutoffs]


def recall_at_5_U(model: Model, training: list[LabeledWindow], asked: LabeledWindow) -> Floats:
    scores_UT = model.fit(TrainingData(training, asked.past, asked.cutoff)).scores_UT(asked.past)
    best_U5 = np.argsort(-scores_UT, axis=1, kind="stable")[:, :5]
    is_hit_U5 = np.isin(np.arange(len(best_U5))[:, None] * scores_UT.shape[1] + best_U5, asked.touched.key_P)
    with np.errstate(invalid="ignore"):
        return np.asarray(is_hit_U5.sum(axis=1) / np.where(asked.touched_tags_U > 0, asked.touched_tags_U, np.nan))


def test_boosting_learns_what_counts_cannot_tell_apart(shop: Any) -> None:
    *training, asked = windows_of(shop)
    boosted_U, counts_U = (recall_at_5_U(one, training, asked) for one in (BOOSTED, OwnCounts(is_tuned=True)))
    assert paired_difference(boosted_U, counts_U).low > 0


@pytest.mark.parametrize("model", [BOOSTED, STACKED], ids=lambda one: one.name)
def test_boosting_without_a_window_is_refused(world: Any, model: Model) -> None:
    past = windows_of(world)[-1].past
    with pytest.raises(ValueError, match="found 0 training windows before the cutoff and no touched candidate"):
        model.fit(TrainingData([], past, end_of_day(world.last_day - timedelta(days=7))))


def test_a_stack_uses_its_methods(sequences_of: SequencesOf) -> None:
    """A cake follows the tea of its own kind on the next day; own counts and popularity cannot tell which one."""
    kinds = [f"{kind:02d}" for kind in range(15)]
    followed = [
        (f"u{user:03d}", f"2026-01-{day:02d} 12:00", food + kinds[user % 15])
        for user in range(180)
        for day, food in ((1 + user // 30, "tea"), (2 + user // 30, "cake"))
    ]
    fresh = [(f"z{kind}", "2026-01-08 12:00", f"tea{kind}") for kind in kinds]
    history = history_of(sequences_of([*followed, *fresh]))
    ends = [end_of_day(date(2026, 1, day)) for day in (4, 5, 6, 7, 8)]
    training = [label_window(history, begin, end) for begin, end in pairwise(ends)]
    past = history.before(ends[-1])
    user_Z = np.searchsorted(past.user_id_U, [f"z{kind}" for kind in kinds])
    cake_Z = np.searchsorted(past.tag_T, [f"cake{kind}" for kind in kinds])

    def place_of_cake(model: Model) -> float:
        scores_UT = model.fit(TrainingData(training, past, ends[-1])).scores_UT(past)
        return float(places_UT(scores_UT)[user_Z, cake_Z].mean())

    assert place_of_cake(STACKED) < 2
    assert place_of_cake(BOOSTED) > 5


def test_a_stack_at_another_cutoff_uses_its_methods_of_that_day(world: Any) -> None:
    *training, asked = windows_of(world)
    stacked = STACKED.fit(TrainingData(training[:1], training[1].past, training[1].cutoff))
    moved_UT = stacked.as_of(asked.past, asked.cutoff).scores_UT(asked.past)
    refitted = STACKED.fit(TrainingData(training[:1], asked.past, asked.cutoff))
    np.testing.assert_array_equal(moved_UT, refitted.scores_UT(asked.past))
    assert not np.array_equal(moved_UT, stacked.scores_UT(asked.past))
