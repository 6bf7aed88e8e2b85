"""Invariants of every baseline, and the scores of the simple ones in cases counted by hand."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.baselines.grids import GRIDS
from model.baselines.next_tag import NextTagBySessions, NextTagByTransition
from model.baselines.simple import DecayedCounts, LastSession, OwnCounts, RecentPopularity
from model.baselines.transition import TransitionSettings
from model.baselines.vsknn import VsknnSettings
from model.boosting.ranker import LambdaMart
from model.counts.model import Counts1, affinities_at_cutoff, fit_parameters, untuned, untuned_for
from model.data.arrays import Floats, top
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import History, history_of
from model.data.labels import LabeledWindow, label_window
from model.data.popularity import fit_popularity
from model.interfaces import Model, TrainingData
from tests.bench.stacked_ranking import StackedRanking

SequencesOf = Callable[..., pa.Table]
WEEK = 7 * MICROS_PER_DAY
STACKED = StackedRanking(
    LambdaMart(30, 3, 0.1, 1.0, "topk", 10, share_of_rows=0.5, share_of_features=0.5),
    forests=2,
    methods=(NextTagByTransition(TransitionSettings()), NextTagBySessions(VsknnSettings())),
)
EVERY_FAMILY = [
    *(pytest.param(grid[-1], id=name) for name, grid in GRIDS.items()),
    pytest.param(STACKED, id=STACKED.name),
]


def windows_at(history: History, cutoff: int) -> tuple[list[LabeledWindow], LabeledWindow]:
    """Return two training weeks and the one after `cutoff`."""
    return [
        label_window(history, cutoff - 2 * WEEK, cutoff - WEEK),
        label_window(history, cutoff - WEEK, cutoff),
    ], label_window(history, cutoff, cutoff + WEEK)


@pytest.fixture(scope="module")
def cutoff(world: Any) -> int:
    return end_of_day(world.last_day - timedelta(days=7))


@pytest.fixture(scope="module")
def history(world: Any) -> History:
    history = history_of(world.until(world.last_day))
    return history.of_users(np.arange(history.users) < 150)


def scores_UT(model: Model, history: History, cutoff: int) -> tuple[Floats, History]:
    training, asked = windows_at(history, cutoff)
    return model.fit(TrainingData(training, asked.past, cutoff)).scores_UT(asked.past), asked.past


def test_a_family_is_found_by_its_name_and_no_setting_is_tried_twice() -> None:
    assert list(GRIDS) == [
        "popularity",
        "last-session",
        "decayed-counts",
        "counts-1",
        "transition",
        "vsknn",
        "boosted-ranking",
    ]
    for name, grid in GRIDS.items():
        assert {model.name for model in grid} == {name}
        assert len({str(model.settings()) for model in grid}) == len(grid)


@pytest.mark.parametrize("model", EVERY_FAMILY)
def test_every_user_has_a_number_for_every_tag(model: Model, history: History, cutoff: int) -> None:
    scores_UT_all, past = scores_UT(model, history, cutoff)
    assert scores_UT_all.shape == (past.users, len(past.tag_T))
    assert np.isfinite(scores_UT_all).all()
    assert len(np.unique(scores_UT_all)) > 20
    if model.predicts_probabilities:
        assert scores_UT_all.min() >= 0 and scores_UT_all.max() <= 1


@pytest.mark.parametrize("model", EVERY_FAMILY)
def test_a_user_alone_gets_the_row_of_the_batch(model: Model, history: History, cutoff: int) -> None:
    training, asked = windows_at(history, cutoff)
    ranker = model.fit(TrainingData(training, asked.past, cutoff))
    batch_UT = ranker.scores_UT(asked.past)
    for user in range(0, asked.past.users, 41):
        alone_UT = ranker.scores_UT(asked.past.of_users(np.arange(asked.past.users) == user))
        np.testing.assert_array_equal(alone_UT, batch_UT[[user]])


@pytest.mark.parametrize("model", EVERY_FAMILY)
def test_a_user_read_alone_has_the_strengths_of_the_batch_by_name(model: Model, world: Any, cutoff: int) -> None:
    """A row read by itself knows fewer tags, and codes and session numbers of its own."""
    rows = world.until(world.last_day - timedelta(days=7)).slice(0, 120)
    all_users = history_of(rows)
    ranker = model.fit(TrainingData(windows_at(all_users, cutoff)[0], all_users, cutoff))
    batch_UT = ranker.scores_UT(all_users)
    for number in range(0, len(rows), 29):
        alone = history_of(rows.slice(number, 1))
        (user,) = np.flatnonzero(all_users.user_id_U == alone.user_id_U[0])
        expected_T = batch_UT[user, np.searchsorted(all_users.tag_T, alone.tag_T)]
        np.testing.assert_array_equal(ranker.scores_UT(alone)[0], expected_T)


@pytest.mark.parametrize("model", EVERY_FAMILY)
def test_what_comes_after_the_cut_changes_no_strength(
    model: Model, world: Any, cutoff: int, sequences_of: SequencesOf
) -> None:
    day = world.last_day - timedelta(days=7)
    users = {f"user{number:04d}" for number in range(120)}
    touches = [touch for touch in world.touches if touch[0] in users]
    before = [touch for touch in touches if touch[1].date() <= day]
    planted = [
        (user, f"{day + timedelta(days=1)} 00:00", tag, 5, 99.0, "purchase")
        for user in ("user0003", "user0007", "aaa", "zzz")
        for tag in ("tag39", "a-new-one tag00 zz-new-too")
    ]
    by_user_and_tag = []
    for log in (touches, before, [*before, *planted]):
        scores_UT_all, past = scores_UT(model, history_of(sequences_of(log)), cutoff)
        kept_T = np.isin(past.tag_T, [f"tag{number:02d}" for number in range(40)])
        assert not np.isin(past.user_id_U, ["aaa", "zzz"]).any()
        by_user_and_tag.append((past.user_id_U.tolist(), scores_UT_all[:, kept_T]))
    users_U, scores_UT_all = by_user_and_tag[0]
    for other_users_U, other_UT in by_user_and_tag[1:]:
        assert other_users_U == users_U
        np.testing.assert_array_equal(other_UT, scores_UT_all)


@pytest.mark.parametrize("model", EVERY_FAMILY)
def test_a_tag_that_no_user_had_touched_scores_below_all_others(model: Model, history: History, cutoff: int) -> None:
    training, asked = windows_at(history, cutoff)
    ranker = model.fit(TrainingData(training, asked.past, cutoff))
    wider = asked.past.with_vocabulary(np.union1d(asked.past.tag_T, np.array(["a-tag", "z-tag"], dtype=object)))
    scores_UT_all = ranker.scores_UT(wider)
    assert (scores_UT_all[:, [0, -1]].max(axis=1) < np.delete(scores_UT_all, [0, -1], axis=1).min(axis=1)).all()


@pytest.mark.parametrize("model", EVERY_FAMILY)
def test_the_same_again_gives_the_same(model: Model, history: History, cutoff: int) -> None:
    np.testing.assert_array_equal(scores_UT(model, history, cutoff)[0], scores_UT(model, history, cutoff)[0])


@pytest.fixture
def small(sequences_of: SequencesOf) -> History:
    """Return three users; each day is a session. The cut is the end of the 10th."""
    return history_of(
        sequences_of(
            [
                ("ann", "2026-01-05 00:00", "jazz"),
                ("ann", "2026-01-05 01:00", "jazz"),
                ("ann", "2026-01-09 00:00", "tea"),
                ("ann", "2026-01-09 01:00", "tea news"),
                ("bob", "2026-01-07 00:00", "jazz"),
                ("cid", "2026-01-07 00:00", "golf"),
                ("cid", "2026-01-10 00:00", "jazz"),
            ]
        )
    )


SMALL_CUT = end_of_day(date(2026, 1, 10))


def by_tag(ranker: Any, small: History, user: str) -> dict[str, float]:
    row = ranker.scores_UT(small)[small.user_id_U.tolist().index(user)]
    return dict(zip(small.tag_T.tolist(), row.tolist(), strict=True))


def test_popularity_is_the_share_of_users_of_late(small: History) -> None:
    scores = by_tag(RecentPopularity(half_life_days=1.0).fit(TrainingData([], small, SMALL_CUT)), small, "bob")
    # The newest visits are 47 hours, 4 days and 1 day ago; those of jazz 143 hours, 4 days and 1 day.
    visited = 2 ** (-47 / 24) + 2**-4 + 2**-1
    assert scores["jazz"] == pytest.approx((2 ** (-143 / 24) + 2**-4 + 2**-1) / visited)
    assert scores["golf"] == pytest.approx(2**-4 / visited)
    assert scores == by_tag(RecentPopularity(half_life_days=1.0).fit(TrainingData([], small, SMALL_CUT)), small, "ann")


def test_popularity_of_a_week_is_that_of_counts_1(history: History, cutoff: int) -> None:
    past = history.before(cutoff)
    ours_UT = RecentPopularity(half_life_days=7.0).fit(TrainingData([], past, cutoff)).scores_UT(past)
    np.testing.assert_array_equal(ours_UT[0], fit_popularity(past, cutoff).share_T)


def test_the_last_session_ranks_before_popularity_and_nothing_older_counts(small: History) -> None:
    ranker = LastSession(popularity_half_life_days=28.0).fit(TrainingData([], small, SMALL_CUT))
    scores = by_tag(ranker, small, "ann")
    assert sorted(scores, key=scores.__getitem__, reverse=True) == ["tea", "news", "jazz", "golf"]
    assert 2 < scores["tea"] < 2.5 and 1 < scores["news"] < 1.5 and scores["jazz"] < 0.5
    assert by_tag(ranker, small, "cid")["jazz"] > 1 > by_tag(ranker, small, "cid")["golf"]


def test_decayed_counts_rank_own_tags_by_their_counts_and_then_popular_ones(small: History) -> None:
    ranker = DecayedCounts(half_life_days=1.0).fit(TrainingData([], small, SMALL_CUT))
    scores = by_tag(ranker, small, "ann")
    counts = {"jazz": 0.0, "news": 0.0, "tea": 0.0}
    ann = list(small.user_id_U).index("ann")
    for event, tag in zip(small.event_M, small.tag_M, strict=True):
        if small.user_E[event] == ann:
            age_days = (SMALL_CUT - small.at_E[event]) / MICROS_PER_DAY
            counts[small.tag_T[tag]] += small.weight_E[event] * 2**-age_days
    own = {tag: counted for tag, counted in counts.items() if counted}
    assert {tag: scores[tag] for tag in own} == pytest.approx({tag: 1 + counted for tag, counted in own.items()})
    assert max(score for tag, score in scores.items() if tag not in own) < 1


def test_untuned_counts_are_the_affinities_of_counts_1(history: History, cutoff: int) -> None:
    scores_UT_all, past = scores_UT(OwnCounts(is_tuned=False), history, cutoff)
    scores = Counts1(cutoff, untuned(7), fit_popularity(past, cutoff)).score(past)
    place_R = np.searchsorted(past.tag_T, scores.tag_R)
    np.testing.assert_array_equal(scores_UT_all[scores.user_R, place_R], scores.affinity_R)
    user_P = np.repeat(np.arange(past.users), len(past.tag_T))
    tag_P = np.tile(np.arange(len(past.tag_T)), past.users)
    strongest = top(10, user_P, scores_UT_all.ravel(), tag_P)
    assert list(zip(user_P[strongest], tag_P[strongest], strict=True)) == list(zip(scores.user_R, place_R, strict=True))


def test_tuned_counts_are_fitted_to_the_newest_window(history: History, cutoff: int) -> None:
    training, _ = windows_at(history, cutoff)
    newest = training[-1]
    ranker = OwnCounts(is_tuned=True).fit(TrainingData(training[-1:], newest.past, newest.cutoff))
    predicted_UT = ranker.scores_UT(newest.past)
    expected_P = affinities_at_cutoff(newest, fit_parameters(newest))
    np.testing.assert_array_equal(predicted_UT[newest.pairs.user_P, newest.pairs.tag_P], expected_P)
    assert not np.array_equal(expected_P, affinities_at_cutoff(newest, untuned_for(newest)))
    assert OwnCounts(is_tuned=True).fit(TrainingData([], newest.past, newest.cutoff)).fitted == untuned(7)


def test_all_but_own_and_popular_tags_stand_below_them_by_popularity(sequences_of: SequencesOf) -> None:
    popularity = [(f"u{user}", "2026-01-09 12:00", f"t{tag:02d}") for tag in range(24) for user in range(tag // 4 + 1)]
    past = history_of(sequences_of([*popularity, ("me", "2026-01-09 12:00", "mine")]))
    ranker = OwnCounts(is_tuned=False).fit(TrainingData([], past, SMALL_CUT))
    scores = by_tag(ranker, past, "me")
    assert max(scores, key=scores.__getitem__) == "mine"
    popular = {f"t{tag:02d}" for tag in range(4, 24)}
    others = [scores[f"t{tag:02d}"] for tag in range(4)]
    assert max(others) < min(scores[tag] for tag in popular)
    assert min(others) > 0


@pytest.mark.parametrize(
    "model", [NextTagByTransition(TransitionSettings()), NextTagBySessions(VsknnSettings())], ids=["ridge", "knn"]
)
def test_a_user_without_a_past_gets_what_is_popular(model: Model, small: History) -> None:
    ranker = model.fit(TrainingData([], small, SMALL_CUT))
    before_all = small.before(end_of_day(date(2026, 1, 6)))
    scores = by_tag(ranker, before_all, "bob")
    assert max(scores, key=scores.__getitem__) == "jazz"
    assert len(set(scores.values())) > 2


def test_sessions_and_transitions_lead_to_tags_that_the_user_has_not_touched(sequences_of: SequencesOf) -> None:
    pairs = [
        (f"u{user}", f"2026-01-0{1 + hour} 12:00", tag)
        for user in range(40)
        for hour, tag in enumerate(["tea", "cake"])
    ]
    popularity = [(f"c{user}", "2026-01-09 12:00", "news") for user in range(60)]
    past = history_of(sequences_of([*pairs, *popularity, ("me", "2026-01-09 12:00", "tea")]))
    scores = by_tag(
        NextTagByTransition(TransitionSettings(ridge=1.0)).fit(TrainingData([], past, SMALL_CUT)), past, "me"
    )
    assert max(scores, key=scores.__getitem__) == "cake"
    together = [(f"u{user}", "2026-01-09 12:00", "tea cake") for user in range(40)]
    past = history_of(sequences_of([*together, *popularity, ("me", "2026-01-09 12:00", "tea")]))
    scores = by_tag(NextTagBySessions(VsknnSettings()).fit(TrainingData([], past, SMALL_CUT)), past, "me")
    assert scores["cake"] > 0.5 > scores["news"]
