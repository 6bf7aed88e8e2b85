"""The choice among settings, and the measure by which it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from model.arrays import Floats
from model.baselines.boosted_ranking import BoostedRanking
from model.baselines.own_counts import OwnCounts
from model.baselines.popularity import RecentPopularity
from model.baselines.returning import ReturnBoosting
from model.baselines.tuning import ndcg_of_strengths, tune, tune_return
from model.bootstrap import paired_difference
from model.counts.lesson import Lesson, lesson
from model.counts.pairs import Pairs
from model.days import MICROS_PER_DAY, end_of_day
from model.history import History, history_of
from model.metrics import ndcg_of_users

WEEK = 7 * MICROS_PER_DAY


def lessons_of(some: Any, users: int) -> list[Lesson]:
    """Return three weeks in a row, the last of them the newest of the log."""
    history = history_of(some.until(some.last_day))
    history = history.of_users(np.arange(history.users) < users)
    cuts = [end_of_day(some.last_day) - number * WEEK for number in (3, 2, 1)]
    return [lesson(history, cut, cut + WEEK) for cut in cuts]


@dataclass(frozen=True)
class Oracle:
    """Knows who touches what, and says it upside down if told to; the mark tells equals apart."""

    touched: Pairs
    user_id_U: list[str]
    sign: float
    mark: str

    @property
    def name(self) -> str:
        return "oracle"

    @property
    def states_probabilities(self) -> bool:
        return False

    def settings(self) -> Mapping[str, Any]:
        return {"sign": self.sign, "mark": self.mark}

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> "Oracle":
        return self

    def strength_UT(self, past: History) -> Floats:
        strength_UT = np.zeros((len(self.user_id_U), len(past.tag_T)))
        strength_UT[self.touched.user_P, self.touched.tag_P] = self.sign
        return strength_UT[np.isin(self.user_id_U, past.user_id_U)]


def test_ndcg_of_strengths_is_that_of_pairs() -> None:
    random = np.random.default_rng(2)
    users, tags = 40, 15
    strength_UT = random.integers(0, 4, (users, tags)) / 3
    is_hit_UT = (random.uniform(size=(users, tags)) < 0.2) & (np.arange(users) % 7 > 0)[:, None]
    user_P, tag_P = np.repeat(np.arange(users), tags), np.tile(np.arange(tags), users)
    told = (user_P, strength_UT.ravel(), tag_P, is_hit_UT.ravel(), is_hit_UT.sum(axis=1))
    touched = Pairs(np.flatnonzero(is_hit_UT), tags)
    for depth in (1, 10, 20):
        np.testing.assert_allclose(ndcg_of_strengths(depth, strength_UT, touched), ndcg_of_users(depth, *told))


def test_a_strength_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 strengths are nan, expected numbers"):
        ndcg_of_strengths(10, np.array([[0.0, np.nan]]), Pairs(np.array([1]), 2))


def test_the_best_of_the_validation_window_is_chosen_and_the_first_of_equals(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    *taught, validation = lessons_of(world, 100)
    known = (validation.touched, validation.past.user_id_U.tolist())
    grid = [Oracle(*known, -1.0, "worst"), Oracle(*known, 1.0, "first"), Oracle(*known, 1.0, "second")]
    tuned = tune(grid, taught, validation)
    assert tuned.chosen is grid[1]
    assert [one.contestant for one in tuned.tried] == grid
    worst, first, second = (one.ndcg_at_10 for one in tuned.tried)
    assert first == second == 1.0 and worst < 0.3

    monkeypatch.setattr("model.baselines.tuning.USERS_AT_ONCE", 7)
    assert [one.ndcg_at_10 for one in tune(grid, taught, validation).tried] == [worst, first, second]


def test_an_empty_grid_is_refused_and_a_silent_window_takes_the_first(world: Any) -> None:
    *taught, validation = lessons_of(world, 60)
    with pytest.raises(ValueError, match="empty grid: found no setting"):
        tune([], taught, validation)
    with pytest.raises(ValueError, match="empty grid: found no setting"):
        tune_return([], taught, validation)
    silent = lesson(validation.past, validation.cut, validation.cut + WEEK)
    grid = [RecentPopularity(1.0), RecentPopularity(7.0)]
    tuned = tune(grid, taught, silent)
    assert tuned.chosen is grid[0] and np.isnan([one.ndcg_at_10 for one in tuned.tried]).all()
    returns = tune_return([ReturnBoosting(), ReturnBoosting(trees=1)], taught, silent)
    assert returns.chosen == ReturnBoosting() and np.isnan([one.auc for one in returns.tried]).all()


def test_tuned_counts_are_chosen_only_where_they_rank_better(world: Any) -> None:
    *taught, validation = lessons_of(world, 400)
    tuned = tune([OwnCounts(is_tuned=False), OwnCounts(is_tuned=True)], taught, validation)
    untuned, learnt = (one.ndcg_at_10 for one in tuned.tried)
    assert tuned.chosen == OwnCounts(is_tuned=learnt > untuned)
    # Too few users to learn from: both are the same, and the first is taken.
    few = lessons_of(world, 40)
    assert tune([OwnCounts(is_tuned=False), OwnCounts(is_tuned=True)], few[:2], few[2]).chosen == OwnCounts(False)


def test_boosting_learns_what_counts_cannot_tell_apart(shop: Any) -> None:
    *taught, validation = lessons_of(shop, 1200)
    boosted = BoostedRanking(trees=60, depth=3, learning_rate=0.1, least_weight_in_leaf=1.0, pairs_per_tag=4)
    boosted_U, counts_U = (
        ndcg_of_strengths(
            10,
            contestant.prepare(taught, validation.past, validation.cut).strength_UT(validation.past),
            validation.touched,
        )
        for contestant in (boosted, OwnCounts(is_tuned=True))
    )
    assert paired_difference(boosted_U, counts_U).low > 0


def test_boosting_without_a_lesson_is_refused(world: Any) -> None:
    boosted = BoostedRanking(trees=2, depth=2, learning_rate=0.1, least_weight_in_leaf=1.0, pairs_per_tag=1)
    past = lessons_of(world, 60)[-1].past
    with pytest.raises(ValueError, match="found 0 lessons before the cut and no touched candidate"):
        boosted.prepare([], past, end_of_day(world.last_day - timedelta(days=7)))


def test_the_return_of_the_highest_auc_is_chosen(world: Any) -> None:
    *taught, validation = lessons_of(world, 400)
    tuned = tune_return([ReturnBoosting(trees=1, leaves=2), ReturnBoosting(trees=40)], taught, validation)
    stump, boosted = (one.auc for one in tuned.tried)
    assert 0.5 < stump < boosted
    assert tuned.chosen == ReturnBoosting(trees=40)
