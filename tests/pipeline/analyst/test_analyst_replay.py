"""A replay: the days that it runs again, and what became of the rejected lines."""

from datetime import date
from typing import Any

import pytest

from pipeline.analyst.replay_plan import outcome, plan_replay
from pipeline.days import DayRange
from pipeline.errors import InputError

D1, D2, D3, D4 = (date(2026, 1, day) for day in (1, 2, 3, 4))
EVENT = {"source": "shop", "file": "log"}


def reject(day: date, line: int, reason: str = "unparsable", **more: Any) -> dict[str, Any]:
    return {"source": "shop", "file": "log", "arrival_day": day, "line": line, "reason": reason, **more}


@pytest.fixture
def four_days(warehouse: Any) -> Any:
    """Four days of `shop`: lines are rejected on the second (unparsable) and the third (unknown event type)."""
    days = [{"step": "clean", "day": day, "source": "shop", "rows_in": 9} for day in (D1, D2, D3, D4)]
    warehouse.append("runs", *days, {"step": "clean", "day": D4, "source": "blog", "rows_in": 9})
    other = reject(D1, 1, source="blog")
    warehouse.append("rejects", other, reject(D2, 1), reject(D3, 2, "unknown_event_type"), reject(D3, 3))
    warehouse.append("events", {**EVENT, "event_id": "e1", "arrival_day": D1, "line": 5, "last_copy_on": D1})
    warehouse.publish(D4)
    return warehouse


@pytest.mark.parametrize(
    ("reason", "first", "begins_on", "reasons"),
    [
        (None, None, D2, "2 unparsable, 1 unknown_event_type"),
        ("unknown_event_type", None, D3, "1 unknown_event_type, 1 unparsable"),
        (None, D3, D3, "1 unknown_event_type, 1 unparsable"),
        (None, D4, D4, "none"),
        (None, date(2020, 1, 1), D1, "2 unparsable, 1 unknown_event_type"),
    ],
)
def test_a_replay_runs_from_the_first_rejected_line_to_the_newest_day(
    four_days: Any, reason: str | None, first: date | None, begins_on: date, reasons: str
) -> None:
    replay = plan_replay(four_days.catalog, "shop", reason, first)
    assert replay is not None
    assert replay.days == DayRange(begins_on, D4)
    assert replay.reasons() == reasons


def test_a_replay_begins_earlier_where_later_copies_filled_events(four_days: Any) -> None:
    four_days.append("events", {**EVENT, "event_id": "e2", "arrival_day": D1, "line": 6, "last_copy_on": D3})
    four_days.publish(D4)
    replay = plan_replay(four_days.catalog, "shop", "unknown_event_type", None)
    assert replay is not None and replay.days == DayRange(D1, D4)


def test_lines_rejected_by_a_rule_of_the_toml_begin_a_replay_only_with_that_reason(four_days: Any) -> None:
    four_days.append("rejects", reject(D1, 8, "static_asset"))
    four_days.publish(D4)
    begins = [plan_replay(four_days.catalog, "shop", reason, None) for reason in (None, "static_asset")]
    assert [replay and replay.days.first for replay in begins] == [D2, D1]


def test_without_rejected_lines_there_is_nothing_to_replay(four_days: Any) -> None:
    four_days.append("runs", {"step": "clean", "day": D1, "source": "calm", "rows_in": 9})
    four_days.publish(D4)
    assert plan_replay(four_days.catalog, "calm", None, None) is None


@pytest.mark.parametrize(
    ("source", "reason", "first", "message"),
    [
        ("nowhere", None, None, "no day of nowhere is in the release of 2026-01-04: run its days"),
        ("shop", "typo", None, r"reasons there are: unknown_event_type \(1 lines\), unparsable \(2 lines\)"),
        ("shop", None, date(2026, 2, 1), "no lines to replay from 2026-02-01 on: the newest day in the release of"),
    ],
)
def test_an_impossible_replay_is_an_error(
    four_days: Any, source: str, reason: str | None, first: date | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plan_replay(four_days.catalog, source, reason, first)


def test_the_outcome_follows_each_line(four_days: Any) -> None:
    replay = plan_replay(four_days.catalog, "shop", None, None)
    assert replay is not None
    four_days.catalog.load_table(("interest", "rejects")).delete("source = 'shop' AND reason = 'unparsable'")
    four_days.append("rejects", reject(D4, 7, "missing_user"))
    four_days.append("events", {**EVENT, "event_id": "moved", "arrival_day": D2, "line": 1})
    four_days.append("events", {**EVENT, "source": "blog", "event_id": "other source", "arrival_day": D3, "line": 3})
    four_days.publish(D4)
    found = outcome(four_days.catalog, replay)
    assert (found.rejected_before, found.accepted, found.duplicates) == (3, 1, 1)
    assert (found.still_rejected, found.newly_rejected) == ({"unknown_event_type": 1}, {"missing_user": 1})
    assert str(found).splitlines() == [
        "of 3 rejected lines 2 moved: 1 to events, 1 are duplicates; still rejected: 1 unknown_event_type",
        "newly rejected: 1 missing_user",
    ]


def test_the_outcome_when_no_line_moved(four_days: Any) -> None:
    replay = plan_replay(four_days.catalog, "shop", None, D4)
    assert replay is not None
    assert str(outcome(four_days.catalog, replay)) == "of 0 rejected lines 0 moved: 0 to events, 0 are duplicates"
