from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.calibration import IDENTITY, fit_calibration
from model.counts import affinity
from model.counts.affinity import OWN_FIRST
from model.counts.features import count_days_P
from model.counts.model import (
    affinities_at_cutoff,
    fit_counts_to_history,
    fit_parameters,
    untuned,
    window_days,
)
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import label_window
from model.data.pairs import candidates, own_tags
from model.data.scores import Scores
from model.data.users import sample_users
from model.metrics import RankedHits, expected_calibration_error, nan_mean
from tests.model.conftest import fit_counts, make_world

SequencesOf = Callable[..., pa.Table]


def test_affinities_are_as_likely_as_they_say(world: Any) -> None:
    day = world.last_day - timedelta(days=7)
    known = world.until(day)
    history = history_of(known)
    scores = fit_counts(known, day).score(history)
    truth = [world.truth(history.user_id_U[user], tag) for user, tag in zip(scores.user_R, scores.tag_R, strict=True)]
    assert expected_calibration_error(scores.affinity_R, np.array(truth)) < 0.03
    assert np.corrcoef(scores.affinity_R, truth)[0, 1] > 0.8


def test_return_probabilities_are_as_likely_as_they_say(world: Any) -> None:
    day = world.last_day - timedelta(days=7)
    known = world.until(day)
    history = history_of(known)
    probability_U = fit_counts(known, day).score(history).return_probability_U
    truth = [1 - np.exp(-7 * sum(world.touches_a_day[user].values())) for user in history.user_id_U]
    assert expected_calibration_error(probability_U, np.array(truth), bins=5) < 0.05


@pytest.mark.parametrize("days", [9, 12])
def test_a_young_log_is_fitted_to_a_window_that_leaves_time_before_it(days: int) -> None:
    """A window of a horizon would leave two days, or five, whose users are the most active ones."""
    young = make_world(users=800, days=days, seed=5)
    history, end = history_of(young.until(young.last_day)), end_of_day(young.last_day)
    by_horizon = fit_parameters(label_window(history, end - 7 * MICROS_PER_DAY, end))
    counts = fit_counts(young.until(young.last_day), young.last_day)
    assert counts.fitted.affinity.windows == pytest.approx(7 / (days // 3)), "each affinity is still of a horizon"

    def errors(scores: Scores) -> tuple[float, float]:
        users = history.user_id_U[scores.user_R]
        truth = [young.truth(user, tag) for user, tag in zip(users, scores.tag_R, strict=True)]
        rates = [sum(young.touches_a_day[user].values()) for user in history.user_id_U]
        returns = 1 - np.exp(-7 * np.array(rates))
        return (expected_calibration_error(scores.affinity_R, np.array(truth)),
                expected_calibration_error(scores.return_probability_U, returns, bins=5))  # fmt: skip

    found, wrong = errors(counts.score(history)), errors(replace(counts, fitted=by_horizon).score(history))
    assert found[0] < 0.1 and found[0] < 0.9 * wrong[0]
    assert found[1] < 0.05


def test_single_old_events_make_no_log_older(sequences_of: SequencesOf) -> None:
    touches = [(f"u{user}", f"2026-01-{day:02d} 12:00", "tea") for user in range(20) for day in range(20, 30)]
    end = end_of_day(date(2026, 1, 29))
    assert window_days(history_of(sequences_of(touches)), end, 7) == 3
    assert window_days(history_of(sequences_of([*touches, ("u1", "2019-05-05", "tea")])), end, 7) == 3
    for horizon_days in (1, 4, 10):
        assert window_days(history_of(sequences_of(touches)), end, horizon_days) == horizon_days


def test_fitted_parameters_rank_no_worse_than_untuned_ones(world: Any) -> None:
    report = fit_counts(world.until(world.last_day), world.last_day).fitted.report
    assert report.users > 300
    assert report.ndcg_at_10 is not None
    assert report.untuned_ndcg_at_10 is not None
    assert report.ndcg_at_10 >= report.untuned_ndcg_at_10


def test_the_half_life_follows_how_fast_interests_fade(sequences_of: SequencesOf) -> None:
    days, users = range(1, 31), range(60)
    # A fickle user has one tag for ten days, loves it to the last, and never comes back to it.
    fickle = [
        (f"u{user}", f"2026-01-{day:02d} 12:00", f"t{user}-{(day + user) // 10}") for user in users for day in days
    ]
    # A steady one comes back to a favourite every fifth day, and tries something once on the others.
    steady = [
        (f"u{user}", f"2026-01-{day:02d} 12:00", f"t{user}-{'favourite' if day % 5 == 0 else day}")
        for user in users
        for day in days
    ]
    as_of = date(2026, 1, 30)
    fast = fit_counts(sequences_of(fickle), as_of).fitted.half_life_days
    slow = fit_counts(sequences_of(steady), as_of).fitted.half_life_days
    assert fast < slow


def test_a_half_life_may_be_of_hours(sequences_of: SequencesOf) -> None:
    """Users come back to the tag of their last hours, however often they touched another one the day before."""
    touches = []
    for user in range(60):
        for day in (28, 29, 30):
            last, next_one = f"t{user}-{day}", f"t{user}-{day + 1}"
            touches += [(f"u{user}", f"2026-01-{day} {hour:02d}:00", last) for hour in range(8, 20)]
            touches += [(f"u{user}", f"2026-01-{day} 22:{minute}", next_one) for minute in (10, 20, 30)]
    fitted = fit_counts(sequences_of(touches), date(2026, 1, 30), horizon_days=1).fitted
    assert fitted.half_life_days < 0.5


def test_a_window_knows_nothing_of_its_label_week(world: Any) -> None:
    end = end_of_day(world.last_day)
    cutoff = end - 7 * MICROS_PER_DAY
    with_week = label_window(history_of(world.until(world.last_day)), cutoff, end)
    without = label_window(history_of(world.until(world.last_day - timedelta(days=7))), cutoff, end)
    assert np.array_equal(with_week.past.user_id_U, without.past.user_id_U)
    assert np.array_equal(affinities_at_cutoff(with_week, untuned(7)), affinities_at_cutoff(without, untuned(7)))
    assert with_week.is_touched_P.any()
    assert not without.is_touched_P.any()


def test_a_user_whose_full_list_begins_after_the_cutoff_is_left_out(sequences_of: SequencesOf) -> None:
    week = [("busy", f"2026-01-{day:02d} {hour:02d}:00", "a") for day in range(1, 31) for hour in range(24)]
    known = sequences_of([*week, ("calm", "2026-01-10", "a")], newest=100)
    end = end_of_day(date(2026, 1, 30))
    assert label_window(history_of(known), end - 7 * MICROS_PER_DAY, end).past.user_id_U.tolist() == ["calm"]


@pytest.mark.parametrize(
    "touches",
    [
        [("u", "2026-01-31", "a")],
        [(f"u{user}", "2026-01-31", "a") for user in range(60)],
        [(f"u{user}", "2026-01-01", "a") for user in range(60)],
        [(f"u{user}", "2026-01-01", "") for user in range(60)],
        [],
    ],
    ids=["one user", "nothing before the cutoff", "no user came back", "no tags at all", "no users"],
)
def test_a_log_too_small_or_of_one_class_leaves_the_defaults(
    touches: list[tuple[Any, ...]], sequences_of: SequencesOf
) -> None:
    known = sequences_of(touches)
    model = fit_counts(known, date(2026, 1, 31))
    assert model.fitted == untuned(7)
    assert len(model.score(history_of(known)).return_probability_U) == len(known)


def few_come_back(users: int) -> list[tuple[Any, ...]]:
    """Return 300 users with a tag of their own; `users` of them come back, and only to what is popular."""
    first = [(f"u{user:03d}", "2026-01-10 12:00", f"own{user:03d} fad{user % 20:02d}") for user in range(300)]
    return [*first, *((f"u{user:03d}", "2026-01-28 12:00", f"fad{(user + 1) % 20:02d}") for user in range(users))]


def test_where_few_come_back_own_tags_rank_above_popular_ones(sequences_of: SequencesOf) -> None:
    known = sequences_of(few_come_back(users=12))
    model = fit_counts(known, date(2026, 1, 30))
    coefficients = dict(model.fitted.affinity.coefficients)
    assert coefficients == OWN_FIRST.coefficients
    history = history_of(known)
    scores = model.score(history)
    is_own_R = scores.evidence_count_R > 0
    assert np.bincount(scores.user_R[is_own_R]).tolist() == [3] * 12 + [2] * 288
    for user in range(300):
        of_user = np.flatnonzero(scores.user_R == user)
        assert is_own_R[of_user].tolist() == sorted(is_own_R[of_user], reverse=True)
        assert (np.diff(scores.affinity_R[of_user]) <= 0).all()
    # 12 touches in the week among 300 x 10 tags that profiles published at its start.
    assert scores.affinity_R.mean() < 0.02
    # The return is fitted all the same: 12 of 300.
    assert scores.return_probability_U.mean() < 0.2


def test_where_many_come_back_to_popular_tags_only_these_rank_first(sequences_of: SequencesOf) -> None:
    known = sequences_of(few_come_back(users=290))
    model = fit_counts(known, date(2026, 1, 30))
    assert model.fitted.affinity.coefficients != OWN_FIRST.coefficients
    history = history_of(known)
    scores = model.score(history)
    assert not scores.tag_R[np.flatnonzero(scores.user_R == 295)[0]].startswith("own")


def test_a_formula_that_ranks_held_out_users_worse_than_decayed_counts_is_not_used(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = world.until(world.last_day)
    fit_logistic = affinity.fit_logistic

    def popular_first(names: tuple[str, ...], *data: Any) -> Any:
        formula = fit_logistic(names, *data)
        if "is_own" not in names:
            return formula
        return replace(formula, coefficients={**formula.coefficients, "is_own": -20.0})

    monkeypatch.setattr(affinity, "fit_logistic", popular_first)
    fitted = fit_counts(known, world.last_day).fitted
    of_user = {"log_activity", "days_since_last_event"}
    ratios = [
        fitted.affinity.coefficients[name] / coefficient
        for name, coefficient in OWN_FIRST.coefficients.items()
        if coefficient and name not in of_user
    ]
    assert ratios == pytest.approx([ratios[0]] * len(ratios)) and ratios[0] > 0  # ranked as OWN_FIRST ranks
    assert fitted.report.ndcg_at_10 is not None and fitted.report.untuned_ndcg_at_10 is not None
    assert fitted.report.ndcg_at_10 >= fitted.report.untuned_ndcg_at_10  # its half-life is the best one


def test_days_with_a_touch_are_counted_once_each_and_fade(sequences_of: SequencesOf) -> None:
    touches = [("u", f"2026-01-{day} {hour}:00", "tea") for day in ("16", "30") for hour in ("10", "11", "12")]
    history = history_of(sequences_of([*touches, ("u", "2026-01-30 12:00", "jazz"), ("v", "2026-01-30 12:00", "golf")]))
    moment = end_of_day(date(2026, 1, 30))
    own = own_tags(history)
    pairs = candidates(own, 2, np.arange(3))  # golf, jazz, tea
    half_day = 0.5 ** (0.5 / 14)
    assert count_days_P(history, own, pairs, moment) == pytest.approx(
        [0, half_day, half_day + 0.5 * half_day, half_day, 0, 0]
    )


def test_the_untuned_half_life_is_four_horizons(sequences_of: SequencesOf) -> None:
    known = sequences_of([("u", "2026-01-31", "a")])
    assert fit_counts(known, date(2026, 1, 31), horizon_days=1).fitted.half_life_days == 4.0
    assert fit_counts(known, date(2026, 1, 31), horizon_days=7).fitted.half_life_days == 28.0


def test_the_parameters_are_plain_json(world: Any) -> None:
    parameters = fit_counts(world.until(world.last_day), world.last_day).parameters()
    assert set(parameters) == {"half_life_days", "affinity", "calibration", "returning", "report"}
    assert isinstance(parameters["affinity"]["coefficients"]["log_own_count"], float)


def test_the_sample_is_the_same_in_whatever_order_the_rows_are(world: Any) -> None:
    known = world.until(world.last_day)
    shuffled = known.take(pa.array(np.random.default_rng(0).permutation(len(known))))
    assert set(sample_users(known, 50)["user_id"].to_pylist()) == set(sample_users(shuffled, 50)["user_id"].to_pylist())
    assert len(sample_users(known, 50)) == 50


def test_events_after_the_day_do_not_exist(world: Any) -> None:
    day = world.last_day - timedelta(days=7)
    before, after = history_of(world.until(day)), history_of(world.until(world.last_day))
    with_future = fit_counts_to_history(after, day)
    assert with_future.fitted == fit_counts_to_history(before, day).fitted
    known_users = after.of_users(np.isin(after.user_id_U, before.user_id_U))
    assert np.array_equal(with_future.score(known_users).affinity_R, with_future.score(before).affinity_R)


def test_calibration_corrects_an_overconfident_model_and_ties_nothing() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0, 0.5, 5000)
    overconfident = truth * 2
    calibration = fit_calibration(overconfident, random.uniform(size=5000) < truth)
    assert expected_calibration_error(calibration.apply(overconfident), truth) < 0.03
    assert (np.diff(calibration.apply(np.linspace(0, 1, 1000))) > 0).all()
    assert np.array_equal(IDENTITY.apply(overconfident), overconfident)


def test_ndcg_of_a_perfect_order_is_one_and_counts_what_was_not_found() -> None:
    user, strength, tie = np.array([0, 0, 1]), np.array([0.9, 0.1, 0.5]), np.array([0, 1, 0])
    hit = np.array([True, False, True])
    of_hits = {hits: RankedHits.of_pairs(user, strength, tie, hit, np.array(hits)) for hits in ((1, 1), (1, 2), (0, 0))}
    ndcg = {hits: nan_mean(ranked.ndcg_U(10)) for hits, ranked in of_hits.items()}
    assert ndcg[1, 1] == 1.0 > ndcg[1, 2]
    assert np.isnan(ndcg[0, 0])
