from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from model.data.days import days_from_to
from model.data.users import scoring_population, stable_hash

SequencesOf = Callable[..., pa.Table]
DAY = date(2026, 3, 31)


def test_a_user_with_news_is_scored(sequences_of: SequencesOf) -> None:
    known = sequences_of([(f"u{number}", "2026-03-31 23:59", "a") for number in range(50)])
    assert scoring_population(known, DAY, all_seen=False).all()


def test_a_user_whose_late_event_is_news_is_scored_however_old_it_is(sequences_of: SequencesOf) -> None:
    known = sequences_of([("u", "2025-01-01", "a")])
    known = known.set_column(known.schema.get_field_index("as_of"), "as_of", pa.array([DAY]))
    assert scoring_population(known, DAY, all_seen=False).all()


def test_each_of_the_others_is_scored_once_in_seven_days(sequences_of: SequencesOf) -> None:
    known = sequences_of([(f"u{number}", "2026-03-20", "a") for number in range(700)])
    week = [scoring_population(known, day, all_seen=False) for day in days_from_to(DAY, DAY + timedelta(days=6))]
    assert (np.sum(week, axis=0) == 1).all()
    assert all(60 < scored.sum() < 140 for scored in week)


def test_with_a_shorter_horizon_no_profile_gets_older_than_it(sequences_of: SequencesOf) -> None:
    known = sequences_of([(f"u{number}", "2026-03-20", "a") for number in range(70)])
    assert scoring_population(known, DAY, all_seen=False, horizon_days=1).all()
    days = days_from_to(DAY, DAY + timedelta(days=2))
    scored = [scoring_population(known, day, all_seen=False, horizon_days=3) for day in days]
    assert (np.sum(scored, axis=0) == 1).all()
    month = [scoring_population(known, DAY, all_seen=False, horizon_days=days) for days in (7, 28)]
    assert np.array_equal(*month)


def test_a_user_unseen_for_over_90_days_is_scored_on_none_of_seven_days(sequences_of: SequencesOf) -> None:
    """The newest event lies a microsecond before the 90 days of the first of the seven days."""
    at = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
    known = sequences_of([(f"u{number}", at, "a") for number in range(70)])
    for day in days_from_to(DAY, DAY + timedelta(days=6)):
        assert not scoring_population(known, day, all_seen=False).any()


def test_all_users_seen_within_90_days_are_scored_on_demand_and_no_others(sequences_of: SequencesOf) -> None:
    first_moment = datetime(2026, 1, 1, tzinfo=UTC)  # 90 days before the end of 2026-03-31
    known = sequences_of([("in", first_moment, "a"), ("out", first_moment - timedelta(microseconds=1), "a")])
    assert scoring_population(known, DAY, all_seen=True).tolist() == [True, False]


def test_the_hash_of_a_user_never_changes() -> None:
    assert stable_hash(["a", ""]).tolist() == [3405396810240292928, 13020603013274838756]
