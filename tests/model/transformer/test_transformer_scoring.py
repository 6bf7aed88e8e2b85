"""transformer-1 as a Scorer: the contents of a profile, its evidence, and what must not change it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.counts.model import Counts1
from model.data.history import History, history_of
from model.data.profiles import PROFILES, profiles_of
from model.data.scores import Scores
from model.metrics import expected_calibration_error
from model.training.challengers import TrainedTransformer
from model.transformer.model import InterestModel
from model.transformer.publish import SavedTransformer, Transformer1

WEEK = 7 * 86_400_000_000
Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def model(trained: TrainedTransformer) -> InterestModel:
    return trained.saved.model


@pytest.fixture(scope="module")
def scores(model: InterestModel, counts: Counts1, weeks: dict[int, History]) -> Scores:
    return Transformer1("t", model, counts).score(weeks[0])


def profiles(scores: Scores, history: History, day: Any) -> Rows:
    table = profiles_of(history, scores, day, "t", datetime(2026, 4, 1, tzinfo=UTC))
    table.validate(full=True)
    assert table.schema == PROFILES
    return {row["user_id"]: row for row in table.to_pylist()}


@pytest.fixture(scope="module")
def rows(scores: Scores, weeks: dict[int, History], world: Any) -> Rows:
    return profiles(scores, weeks[0], world.last_day)


def affinities(row: dict[str, Any]) -> dict[str, float]:
    return {interest["tag"]: interest["affinity"] for interest in row["interests"]}


def test_every_user_has_ten_interests_by_falling_affinity(rows: Rows, weeks: dict[int, History]) -> None:
    assert len(rows) == weeks[0].users
    for row in rows.values():
        affinities_of_user = [interest["affinity"] for interest in row["interests"]]
        assert len(affinities_of_user) == 10
        assert affinities_of_user == sorted(affinities_of_user, reverse=True)
        assert all(0 < affinity < 1 for affinity in affinities_of_user) and 0 < row["return_probability"] < 1
        assert len(row["embedding"]) == 64 and len(row["top_items"]) == 10


def test_affinities_are_calibrated(weeks: dict[int, History], scores: Scores, world: Any) -> None:
    users = weeks[0].user_id_U[scores.user_R]
    truth_R = np.array([world.truth(user, tag) for user, tag in zip(users, scores.tag_R, strict=True)])
    assert expected_calibration_error(scores.affinity_R, truth_R) < 0.06
    assert np.corrcoef(scores.affinity_R, truth_R)[0, 1] > 0.7


def test_a_user_scored_alone_gets_the_scores_of_the_batch(
    model: InterestModel, counts: Counts1, weeks: dict[int, History], rows: Rows, world: Any
) -> None:
    for number in range(0, weeks[0].users, 29):
        alone = weeks[0].of_users(np.arange(weeks[0].users) == number)
        ((user, row),) = profiles(Transformer1("t", model, counts).score(alone), alone, world.last_day).items()
        together = rows[user]
        shared = affinities(row).keys() & affinities(together).keys()
        assert len(shared) >= 9
        assert all(affinities(row)[tag] == pytest.approx(affinities(together)[tag], abs=1e-4) for tag in shared)
        assert row["return_probability"] == pytest.approx(together["return_probability"], abs=1e-4)
        cosine = np.dot(row["embedding"], together["embedding"])
        assert cosine >= 0.9999 * np.linalg.norm(row["embedding"]) * np.linalg.norm(together["embedding"])


def test_nothing_at_the_end_of_the_day_or_later_changes_a_profile(
    model: InterestModel, counts: Counts1, world: Any, sequences_of: Callable[..., pa.Table], rows: Rows
) -> None:
    midnight = datetime.combine(world.last_day + timedelta(days=1), datetime.min.time(), UTC)
    later = [(user, midnight + timedelta(hours=hour), "tag07 tag39", 739, 9.0) for user in rows for hour in (0, 5)]
    touches = [touch for touch in world.touches if touch[0] in rows]
    history = history_of(sequences_of([*touches, *later], newest=4096))
    again = profiles(Transformer1("t", model, counts).score(history), history, world.last_day)
    for user, row in again.items():
        for column in ("interests", "top_items", "return_probability", "embedding"):
            assert row[column] == rows[user][column], column


def test_evidence_is_the_users_own_sessions_up_to_the_day(rows: Rows, world: Any) -> None:
    for user, row in rows.items():
        for interest in row["interests"]:
            sessions = interest["evidence"]
            assert 1 <= len(sessions) <= 3 and len(set(sessions)) == len(sessions)
            assert all(one.startswith(f"{user}:") and one[-10:] <= str(world.last_day) for one in sessions)


def test_sessions_without_attention_are_no_evidence(
    model: InterestModel, counts: Counts1, weeks: dict[int, History], scores: Scores
) -> None:
    """A strong bias hides the newest session of every user with several sessions."""
    blind = deepcopy(model.networks)
    for network in blind:
        network.interest_decoder.stack.age.by_sessions.weight[0] = -1e9
    history = weeks[0]
    last_event_U = np.searchsorted(history.user_E, np.arange(history.users), "right") - 1
    has_others_U = history.session_counts_U() > 1
    newest = set(history.session_id_S[history.session_E[last_event_U[has_others_U]]])
    seen = Transformer1("t", replace(model, networks=blind), counts).score(history)
    assert newest & set(scores.session_id_V)
    assert not newest & set(seen.session_id_V) and len(seen.session_id_V)


def test_trend_compares_with_a_week_earlier_at_the_popularity_of_today(
    model: InterestModel, counts: Counts1, weeks: dict[int, History], rows: Rows, world: Any
) -> None:
    before = replace(counts, end=counts.end - WEEK)
    then = profiles(Transformer1("t", model, before).score(weeks[0]), weeks[0], world.last_day)
    was_known_U = weeks[0].before(before.end).event_counts_U() > 0
    compared = 0
    for user, was_known in zip(weeks[0].user_id_U, was_known_U, strict=True):
        for interest in rows[user]["interests"]:
            if not was_known:
                assert interest["trend"] == 0
            elif interest["tag"] in affinities(then[user]):
                lift = interest["affinity"] - affinities(then[user])[interest["tag"]]
                assert interest["trend"] == pytest.approx(lift, abs=1e-4)
                compared += 1
    assert compared > 500 and any(interest["trend"] for row in rows.values() for interest in row["interests"])


def test_a_tag_that_appeared_after_the_training_is_predicted_by_counts(
    model: InterestModel, counts: Counts1, world: Any, sequences_of: Callable[..., pa.Table], rows: Rows
) -> None:
    user = next(iter(rows))
    at = datetime.combine(world.last_day, datetime.min.time(), UTC) + timedelta(hours=23)
    touches = [touch for touch in world.touches if touch[0] == user]
    history = history_of(sequences_of([*touches, *((user, at, "unseen", 1, 1.0) for _ in range(9))]))
    by_model, by_counts = (
        profiles(scorer.score(history), history, world.last_day)[user]
        for scorer in (Transformer1("t", model, counts), counts)
    )
    (unseen,) = (interest for interest in by_model["interests"] if interest["tag"] == "unseen")
    assert unseen["affinity"] == affinities(by_counts)["unseen"]
    assert unseen["is_new"] and unseen["evidence"] == [f"{user}:{world.last_day}"]


def test_a_user_without_events_gets_popular_tags(
    model: InterestModel, counts: Counts1, weeks: dict[int, History], world: Any, rows: Rows
) -> None:
    without_events = weeks[0].since(counts.end)
    assert not without_events.event_counts_U().any()
    by_model, by_counts = (
        profiles(scorer.score(without_events), without_events, world.last_day)
        for scorer in (Transformer1("t", model, counts), counts)
    )
    for user, row in by_model.items():
        assert row["interests"] == by_counts[user]["interests"]
        assert row["return_probability"] == by_counts[user]["return_probability"]
        assert row["embedding"] == [0.0] * 64 and row["session_count"] == 0
        assert not any(interest["evidence"] for interest in row["interests"])


def test_the_return_is_predicted_by_the_model_that_the_calibration_chose(
    model: InterestModel, counts: Counts1, weeks: dict[int, History]
) -> None:
    by_counts = counts.score(weeks[0]).return_probability_U
    line = replace(model.calibrations.affinity, intercept=0.0, coefficients={"log_odds": 1.0})
    for returning in (None, line):
        calibrations = replace(model.calibrations, returning=returning)
        scores = Transformer1("t", replace(model, calibrations=calibrations), counts).score(weeks[0])
        assert np.array_equal(scores.return_probability_U, by_counts) is (returning is None)


def test_the_ranker_of_evaluations_has_the_published_affinities(
    model: InterestModel, counts: Counts1, weeks: dict[int, History], scores: Scores
) -> None:
    scores_UT = SavedTransformer(model).fitted_as_of(counts, weeks[0]).scores_UT(weeks[0])
    assert scores_UT.shape == (weeks[0].users, len(weeks[0].tag_T))
    affinity_R = scores_UT[scores.user_R, np.searchsorted(weeks[0].tag_T, scores.tag_R)]
    np.testing.assert_allclose(affinity_R, scores.affinity_R, atol=1e-6)
