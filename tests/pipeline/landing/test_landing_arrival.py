"""The arrival day of a line, by received_at, else event_at, else the line before; and its folder."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.landing.arrival import arrival_days, land_events
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.staging import stage_file
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Source
from pipeline.transforms.parse import landed_lines

SOURCE = Source.model_validate(
    {
        "name": "web",
        "time_zone": "Asia/Shanghai",  # arrival days are days in UTC nevertheless
        "reader": {"format": "csv", "columns": ["user", "at", "received"]},
        "columns": {
            "user_id": "user", "event_at": "to_timestamp(at)", "received_at": "to_timestamp(received)",
            "event_type": "'view'",
        },
        "event_types": {"view": {"as": "view"}},
    }
)  # fmt: skip
LINES = "source STRING, file STRING, line BIGINT, text STRING, header STRING"

# file, line, arrival day
LOG = [
    ("a", "no time yet", "2026-01-05"),
    ("a", "u,nor here,", "2026-01-05"),
    ("a", "u,2026-01-01T00:00:00Z,2026-01-05T23:59:59.999999Z", "2026-01-05"),
    ("a", "u,2026-01-05T23:00:00Z,2026-01-06T00:00:00Z", "2026-01-06"),
    ("a", "", "2026-01-06"),
    ("a", "u,2026-01-04T12:00:00Z,no time", "2026-01-04"),
    ("a", "cut", "2026-01-04"),
    ("a", "u,2026-01-07T08:00:00+09:00,", "2026-01-06"),
    ("b", "cut", "2026-01-09"),
    ("b", "u,,2026-01-09T01:00:00Z", "2026-01-09"),
    ("c", "no time in this file", None),
]


def test_the_day_of_a_line(frame_of) -> None:
    rows = [
        {"source": "web", "file": file, "line": number, "text": text} for number, (file, text, _) in enumerate(LOG, 1)
    ]
    found = arrival_days(frame_of(rows[::-1], LINES), SOURCE).orderBy("line").collect()
    assert [row.text for row in found] == [text for _, text, _ in LOG]
    assert [row.arrival_day and row.arrival_day.isoformat() for row in found] == [day for _, _, day in LOG]


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


def stage_all(zone: LandingZone, folder: Path, contents: dict[str, str]) -> list:
    staged = []
    for name, content in contents.items():
        file = folder / name
        file.write_text(content, encoding="utf-8")
        staged.append(stage_file(file, zone.landed_files("web"), SOURCE.reader, folder / "staging"))
    return staged


def test_lines_land_in_the_folders_of_their_days_unchanged(spark, zone: LandingZone, tmp_path: Path) -> None:
    contents = {file: "".join(f"{text}\n" for name, text, _ in LOG if name == file) for file in ("a", "b")}
    logs = stage_all(zone, tmp_path, contents)
    days = land_events(spark, zone, SOURCE, logs, None, tmp_path / "staging")
    assert days == [date(2026, 1, day) for day in (4, 5, 6, 9)]
    closed = zone.days("web")
    assert [(day.day.day, day.lines) for day in closed.values()] == [(4, 2), (5, 3), (6, 3), (9, 2)]

    lines = landed_lines(spark, zone, CleanPlan(list(closed.values()), [])).orderBy("file", "line").collect()
    assert [(row.file, row.text, row.arrival_day.isoformat(), row.source) for row in lines] == [
        (file, text, day, "web") for file, text, day in LOG if file != "c"
    ]
    assert [row.line for row in lines] == [*range(1, 9), 1, 2]


def test_all_lines_land_on_a_given_day(spark, zone: LandingZone, tmp_path: Path) -> None:
    logs = stage_all(zone, tmp_path, {"a": "no time\nu,2026-01-04T12:00:00Z,\n"})
    assert land_events(spark, zone, SOURCE, logs, date(2026, 2, 1), tmp_path / "staging") == [date(2026, 2, 1)]
    assert zone.days("web")[date(2026, 2, 1)].lines == 2


def test_an_empty_file_closes_a_given_day_as_empty(spark, zone: LandingZone, tmp_path: Path) -> None:
    logs = stage_all(zone, tmp_path, {"a": ""})
    with pytest.raises(InputError, match="no lines for web"):
        land_events(spark, zone, SOURCE, logs, None, tmp_path / "staging")
    assert land_events(spark, zone, SOURCE, logs, date(2026, 2, 1), tmp_path / "staging") == [date(2026, 2, 1)]
    assert zone.days("web")[date(2026, 2, 1)].lines == 0


def test_a_file_without_a_readable_time_is_an_error_with_advice(spark, zone: LandingZone, tmp_path: Path) -> None:
    logs = stage_all(zone, tmp_path, {"a": "no time\n"})
    with pytest.raises(InputError, match=r"readable time.*--arrival-day"):
        land_events(spark, zone, SOURCE, logs, None, tmp_path / "staging")
    assert zone.days("web") == {}
