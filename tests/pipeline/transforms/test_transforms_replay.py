"""Replay is identity: days in any order, in one range or day by day, once or twice, give equal events (DESIGN 5.5.1).

The tables are lists of rows here; what `pipeline.warehouse.events.write_events` does to them is done by hand.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.clean import clean, judge
from pipeline.clean_plan import plan_cleaning
from pipeline.days import DayRange
from pipeline.duplicates import FILLED_BY_COPIES, IDENTITY
from pipeline.landing import LandedDay
from pipeline.settings import Settings
from pipeline.source import load_source, source_file

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 1, day) for day in (5, 6, 7))
LINES = "source STRING, arrival_day DATE, file STRING, line BIGINT, text STRING, header STRING"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
EVENT_COLUMNS = (
    "source", "event_id", "user_id", "event_at", "event_type", "item_id", "arrival_day", "known_on", "lateness_days",
    "bot_class", "last_copy_on", "file", "line", *FILLED_BY_COPIES,
)  # fmt: skip


def line(id: str, user: str, at: str, **more: Any) -> str:
    return json.dumps({"id": id, "user": user, "created": at, "type": "page_view", "item": "i", **more})


LOG = {
    MONDAY: [
        line("e1", "ann", "2026-01-05T10:00:00Z"),
        line("ahead", "ben", "2026-01-06T01:00:00Z"),  # its clock ran ahead, so it becomes known on Tuesday
        line("e2", "ann", "2026-01-02T10:00:00Z", dwell="1"),
        "broken",
    ],
    TUESDAY: [
        line("e1", "ann", "2026-01-05T10:00:00Z", dwell="5"),
        line("t2", "ben", "2026-01-06T02:00:00Z", ua=GOOGLEBOT),
    ],
    WEDNESDAY: [line("e1", "ann", "2026-01-05T10:00:00Z", referrer="/r"), line("t2", "ben", "2026-01-06T02:00:00Z")],
}  # fmt: skip


@dataclass
class Warehouse:
    """The tables that cleaning writes and reads."""

    frame_of: Any
    settings: Settings
    log: dict[date, list[str]]
    schema: Any = None
    events: list[Any] = field(default_factory=list)
    cleaned: dict[tuple[str, date], str] = field(default_factory=dict)

    def night(self, first: date, last: date | None = None) -> "Warehouse":
        landed = {day: LandedDay("demo", day, len(texts), str(texts)) for day, texts in self.log.items()}
        plan = plan_cleaning(DayRange(first, last or first), {"demo": landed}, self.cleaned)
        rows = [
            {"source": "demo", "arrival_day": day.day, "file": f"{day.day}", "line": number, "text": text}
            for day in plan.landed
            for number, text in enumerate(self.log[day.day], 1)
        ]
        judged = judge(self.frame_of(rows, LINES), load_source(source_file("demo")), b"key", self.settings)
        spark = judged.sparkSession
        if self.schema is None:
            none = spark.createDataFrame([], ", ".join(f"{name} {kind}" for name, kind in judged.dtypes)).drop("text")
            of_events = none.selectExpr(
                "*", "arrival_day AS known_on", "0 AS lateness_days", "false AS is_late", "'' AS bot_class",
                "'' AS bot_evidence", "arrival_day AS last_copy_on", "arrival_day AS refused_on",
            )  # fmt: skip
            self.schema = of_events.select(*EVENT_COLUMNS).schema
        known = spark.createDataFrame([row for row in self.events if row["arrival_day"] < plan.first], self.schema)
        made = clean(judged, known, plan.first, self.settings)

        table = [row for row in self.events if not plan.first <= row["arrival_day"] <= plan.last]
        table += [row.asDict() for row in made.events.select(*EVENT_COLUMNS).collect()]
        for filled in made.filled.collect():
            for row in table:
                if all(row[name] == filled[name] for name in IDENTITY):
                    row.update({name: filled[name] for name in (*FILLED_BY_COPIES, "last_copy_on")})
        for reclassed in made.reclassed.collect():
            for row in table:
                if all(row[name] == reclassed[name] for name in ("source", "event_id", "arrival_day")):
                    row["bot_class"] = reclassed["bot_class"]
        spark.catalog.clearCache()
        self.events = sorted(table, key=lambda row: (row["event_id"], row["arrival_day"]))
        self.cleaned |= {("demo", day.day): day.sha256 for day in plan.landed}
        return self


@pytest.fixture(scope="module")
def warehouse(frame_of, tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = Settings(home=Path(tmp_path_factory.mktemp("home")))
    return lambda log=LOG: Warehouse(frame_of, settings, log)


@pytest.fixture(scope="module")
def in_one_range(warehouse) -> Warehouse:
    return warehouse().night(MONDAY, WEDNESDAY)


def test_a_range_fills_counts_and_classes_by_all_of_its_days(in_one_range: Warehouse) -> None:
    found = {row["event_id"]: row for row in in_one_range.events}
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


def test_day_by_day_equals_one_range(warehouse, in_one_range: Warehouse) -> None:
    assert warehouse().night(MONDAY).night(TUESDAY).night(WEDNESDAY).events == in_one_range.events


@pytest.mark.parametrize("again", [MONDAY, TUESDAY], ids=str)
def test_cleaning_an_earlier_day_twice_changes_nothing(again: date, in_one_range: Warehouse) -> None:
    twice = replace(in_one_range, events=[dict(row) for row in in_one_range.events])
    assert twice.night(again).events == in_one_range.events


def test_a_day_that_lands_late_counts_as_if_it_had_been_there(warehouse, in_one_range: Warehouse) -> None:
    late = warehouse({day: LOG[day] for day in (TUESDAY, WEDNESDAY)}).night(WEDNESDAY)
    late.log = LOG
    assert late.night(MONDAY).events == in_one_range.events
