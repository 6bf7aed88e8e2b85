"""Replay is identity: days in any order, in one range or day by day, once or twice, give equal events.

The tables are lists of rows here; what the jobs do to them is in `conftest.py`.
"""

import json
from datetime import date
from typing import Any

import pytest

from pipeline.sources.schema import load_source, source_file

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 1, day) for day in (5, 6, 7))
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def line(id: str, user: str, at: str, **more: Any) -> str:
    return json.dumps({"id": id, "user": user, "created": at, "type": "page_view", "item": "i", **more})


LOG = {
    MONDAY: [
        line("e1", "ann", "2026-01-05T10:00:00Z"),
        line("ahead", "ben", "2026-01-06T01:00:00Z"),  # dated after its arrival day, so it becomes known on Tuesday
        line("e2", "ann", "2026-01-02T10:00:00Z", dwell="1"),
        "broken",
    ],
    TUESDAY: [
        line("e1", "ann", "2026-01-05T10:00:00Z", dwell="5"),
        line("t2", "ben", "2026-01-06T02:00:00Z", ua=GOOGLEBOT),
    ],
    WEDNESDAY: [line("e1", "ann", "2026-01-05T10:00:00Z", referrer="/r"), line("t2", "ben", "2026-01-06T02:00:00Z")],
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(nights_of) -> Any:
    return lambda: nights_of(load_source(source_file("demo")))


@pytest.fixture(scope="module")
def in_one_range(demo) -> Any:
    return demo().land(LOG).run(MONDAY, WEDNESDAY)


def test_a_range_fills_counts_and_classes_by_all_of_its_days(in_one_range) -> None:
    found = {row["event_id"]: row for row in in_one_range.tables["events"]}
    assert set(found) == {"e1", "e2", "ahead", "t2"}
    assert (found["e1"]["dwell_seconds"], found["e1"]["referrer"], found["e1"]["last_copy_on"]) == (
        5.0,
        "/r",
        WEDNESDAY,
    )
    assert (found["ahead"]["known_on"], found["ahead"]["bot_class"], found["t2"]["bot_class"]) == (
        TUESDAY, "declared", "declared",
    )  # fmt: skip
    assert (found["e2"]["lateness_days"], found["e1"]["bot_class"]) == (3, "human")


def test_day_by_day_equals_one_range(demo, in_one_range) -> None:
    assert demo().land(LOG).run(MONDAY).run(TUESDAY).run(WEDNESDAY).tables == in_one_range.tables


@pytest.mark.parametrize("again", [MONDAY, TUESDAY], ids=str)
def test_running_an_earlier_day_twice_changes_nothing(again: date, in_one_range) -> None:
    assert in_one_range.copy().run(again).tables == in_one_range.tables


def test_a_day_that_lands_late_counts_as_if_it_had_been_there(demo, in_one_range) -> None:
    late = demo().land({day: LOG[day] for day in (TUESDAY, WEDNESDAY)}).run(WEDNESDAY)
    assert late.land(LOG).run(MONDAY).tables == in_one_range.tables


def test_copies_of_a_day_that_lands_late_come_before_those_of_later_days(demo) -> None:
    """The middle day brings a dwell and a refusal of consent, for which copies of the last day had other values."""
    first, second, third = (
        [line("e1", "ann", "2026-01-05T10:00:00Z", **more)]
        for more in ({}, {"dwell": "7", "consent": "false"}, {"dwell": "5", "consent": "true"})
    )
    log = {MONDAY: first, TUESDAY: second, WEDNESDAY: third}
    in_order = demo().land(log).run(MONDAY, WEDNESDAY)
    late = demo().land({MONDAY: first, WEDNESDAY: third}).run(MONDAY, WEDNESDAY)
    assert late.tables["events"][0]["dwell_seconds"] == 5
    late.land(log).run(TUESDAY)
    assert in_order.tables["events"][0]["dwell_seconds"] == 7
    assert late.tables == in_order.tables
