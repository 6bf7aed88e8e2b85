"""The day of a run: scheduled, backfilled, by hand, and by `dag.test()`. The intervals are Airflow's own."""

from datetime import UTC, date, datetime
from typing import Any

import pendulum
import pytest
from airflow.timetables.interval import CronDataIntervalTimetable

from orchestration.days import lease_day, resolve_day, resolve_last_day, step_run_id
from pipeline.errors import UsageError

NIGHTLY = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")
WEEKLY = CronDataIntervalTimetable("0 6 * * 1", timezone="UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def scheduled_interval(timetable: CronDataIntervalTimetable, run_after: str) -> tuple[datetime, datetime]:
    """Return the interval of the run that the scheduler or a backfill starts at a time."""
    interval = timetable.infer_manual_data_interval(run_after=pendulum.instance(at(run_after)))
    return interval.start, interval.end


MIDNIGHT = scheduled_interval(NIGHTLY, "2026-02-01T00:00:00")
AFTERNOON = scheduled_interval(NIGHTLY, "2026-02-01T15:30:00")  # of a run by hand and of `dag.test()` at that time


@pytest.mark.parametrize(
    ("run_type", "interval", "day", "expected"),
    [
        ("scheduled", MIDNIGHT, None, "2026-01-31"),
        ("backfill", MIDNIGHT, None, "2026-01-31"),
        ("backfill", MIDNIGHT, "2026-01-31", "2026-01-31"),
        ("manual", AFTERNOON, None, "2026-01-31"),
        ("manual", AFTERNOON, "2026-01-15", "2026-01-15"),
        ("manual", None, "2026-01-15", "2026-01-15"),
        ("asset_triggered", None, "2026-01-15", "2026-01-15"),
        ("manual", scheduled_interval(NIGHTLY, "2026-01-31T00:00:00"), None, "2026-01-30"),  # dag.test(2026-01-31)
    ],
)
def test_the_day_is_the_param_else_the_start_of_the_interval(
    run_of: Any, run_type: str, interval: Any, day: str | None, expected: str
) -> None:
    assert resolve_day(run_of(run_type, interval), {"day": day}) == date.fromisoformat(expected)


def test_an_interval_in_another_zone_is_read_in_utc(run_of: Any) -> None:
    start = datetime.fromisoformat("2026-02-01T08:30:00+09:00")
    assert resolve_day(run_of("scheduled", (start, start)), {}) == date(2026, 1, 31)


def test_a_run_without_day_and_interval_is_refused(run_of: Any) -> None:
    with pytest.raises(UsageError, match="neither the param `day` nor a data interval: trigger it with a `day`"):
        resolve_day(run_of("manual"), {"day": None})
    with pytest.raises(UsageError, match="through which day"):
        resolve_last_day(run_of("manual"), {})


def test_the_same_day_for_all_runs_of_a_backfill_is_refused(run_of: Any) -> None:
    with pytest.raises(UsageError, match="gave this run of 2026-01-31 the day 2026-01-15: expected none"):
        resolve_day(run_of("backfill", MIDNIGHT), {"day": "2026-01-15"})


def test_an_invalid_day_is_refused(run_of: Any) -> None:
    with pytest.raises(UsageError, match=r"'31\.1\.2026' is not a day"):
        resolve_day(run_of("manual"), {"day": "31.1.2026"})


@pytest.mark.parametrize(
    ("interval", "through", "expected"),
    [
        (scheduled_interval(WEEKLY, "2026-02-02T06:00:00"), None, "2026-02-01"),  # on Monday morning Sunday is whole
        (scheduled_interval(WEEKLY, "2026-02-04T11:00:00"), None, "2026-02-01"),
        (scheduled_interval(WEEKLY, "2026-02-02T06:00:00"), "2026-01-20", "2026-01-20"),
        (None, "2026-01-20", "2026-01-20"),
    ],
)
def test_training_data_ends_with_the_last_whole_day(
    run_of: Any, interval: Any, through: str | None, expected: str
) -> None:
    assert resolve_last_day(run_of("scheduled", interval), {"through": through}) == date.fromisoformat(expected)


def test_training_reads_the_end_of_an_interval_in_utc(run_of: Any) -> None:
    """Monday 08:30 in Tokyo is Sunday 23:30 in UTC, so the last whole day is Saturday."""
    end = datetime.fromisoformat("2026-02-02T08:30:00+09:00")
    assert resolve_last_day(run_of("scheduled", (end, end)), {}) == date(2026, 1, 31)


def test_the_lease_shows_the_day_of_a_night_and_the_date_of_another_run(run_of: Any) -> None:
    assert lease_day(run_of("backfill", MIDNIGHT), {"day": None}) == date(2026, 1, 31)
    replay = run_of("manual")
    replay.run_after = at("2026-02-03T10:00:00")
    assert lease_day(replay, {"source": "/srv/shop.toml"}) == date(2026, 2, 3)


def test_a_run_id_has_characters_that_steps_accept(run_of: Any) -> None:
    run = run_of("manual", run_id="manual__2026-02-01T15:30:00.123+00:00")
    assert step_run_id(run) == "manual__2026-02-01T15-30-00.123-00-00"
