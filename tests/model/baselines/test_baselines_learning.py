"""Baselines that learn from windows learn what there is to learn, and say when there is nothing."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from model.arrays import Floats
from model.baselines.boosted_ranking import BoostedRanking
from model.baselines.own_counts import OwnCounts
from model.bootstrap import paired_difference
from model.counts.lesson import Lesson, lesson
from model.days import MICROS_PER_DAY, end_of_day
from model.evaluation.contestant import Contestant
from model.history import history_of

WEEK = 7 * MICROS_PER_DAY
BOOSTED = BoostedRanking(trees=60, depth=3, learning_rate=0.1, least_weight_in_leaf=1.0, pairs_per_tag=4)


def lessons_of(some: Any) -> list[Lesson]:
    """Return three weeks in a row, the last of them the newest of the log."""
    history = history_of(some.until(some.last_day))
    cuts = [end_of_day(some.last_day) - number * WEEK for number in (3, 2, 1)]
    return [lesson(history, cut, cut + WEEK) for cut in cuts]


def recall_at_5_U(contestant: Contestant, taught: list[Lesson], asked: Lesson) -> Floats:
    strength_UT = contestant.prepare(taught, asked.past, asked.cut).strength_UT(asked.past)
    best_U5 = np.argsort(-strength_UT, axis=1, kind="stable")[:, :5]
    is_hit_U5 = np.isin(np.arange(len(best_U5))[:, None] * strength_UT.shape[1] + best_U5, asked.touched.key_P)
    with np.errstate(invalid="ignore"):
        return np.asarray(is_hit_U5.sum(axis=1) / np.where(asked.touched_tags_U > 0, asked.touched_tags_U, np.nan))


def test_boosting_learns_what_counts_cannot_tell_apart(shop: Any) -> None:
    *taught, asked = lessons_of(shop)
    boosted_U, counts_U = (recall_at_5_U(one, taught, asked) for one in (BOOSTED, OwnCounts(is_tuned=True)))
    assert paired_difference(boosted_U, counts_U).low > 0


def test_boosting_without_a_lesson_is_refused(world: Any) -> None:
    past = lessons_of(world)[-1].past
    with pytest.raises(ValueError, match="found 0 lessons before the cut and no touched candidate"):
        BOOSTED.prepare([], past, end_of_day(world.last_day - timedelta(days=7)))
