"""The arrival day of a line, by received_at, else event_at, else the line before; and its folder."""

import json
import random
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.landing.arrival import arrival_days, day_runs, land_events
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.staging import stage_file
from pipeline.landing.zone import LandingZone
from pipeline.sources.rules import Times
from pipeline.sources.schema import Source
from pipeline.transforms.canonical import canonical_lines, with_own_day, with_reason
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
WITHOUT_RECEIPT = SOURCE.model_copy(update={"columns": SOURCE.columns.model_copy(update={"received_at": None})})
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
    runs = day_runs(frame_of(rows[::-1], LINES), SOURCE).toArrow()
    for name in ("a", "b"):
        own = [(row["line"], day) for row, (file, _, day) in zip(rows, LOG, strict=True) if file == name]
        arrival = arrival_days(runs.filter(pc.equal(runs["file"], name)), len(own), SOURCE.times)
        places = np.searchsorted(arrival.lines, [line for line, _ in own], side="right") - 1
        assert [str(day) for day in arrival.days[places]] == [day for _, day in own]
        assert arrival.limits is None
    assert arrival_days(runs.filter(pc.equal(runs["file"], "c")), 1, SOURCE.times) is None


STRAYS = ["1996-02-01", "2000-01-01", "2024-12-31", "2026-02-11", "2037-04-09"]  # 2024-12-31: over a year before
PLAUSIBLE = ["2025-02-01", "2026-02-08"]


@pytest.fixture
def corrupt_log() -> str:
    """60 lines on each of five days of February 2026, and lines of broken clocks, each with a line without a time."""
    lines = [f"u,2026-02-{day:02d}T{hour:02d}:{minute:02d}:00Z,"
             for day in range(1, 6) for hour in range(10, 16) for minute in range(0, 60, 6)]  # fmt: skip
    for number, day in enumerate([*STRAYS, *PLAUSIBLE]):
        lines[40 * number : 40 * number] = [f"u,{day}T12:00:00Z,", f"after {day},no time,"]
    return "".join(f"{line}\n" for line in lines)


def cleaned_reasons(spark, zone: LandingZone, source: Source) -> dict[str, tuple[str | None, date]]:
    """Return reason and arrival day of the lines of strays, and of the lines after them, by their text."""
    lines = landed_lines(spark, zone, CleanPlan(list(zone.days("web").values()), []))["web"]
    rows = with_reason(canonical_lines(lines, source), source.event_types, 1).select("text", "reason", "arrival_day")
    found = {
        row.text.split("T12:00:00Z")[0].removeprefix("u,"): (row.reason, row.arrival_day) for row in rows.collect()
    }
    return {name.split(",")[0]: outcome for name, outcome in found.items()}


@pytest.mark.parametrize("is_spark_elsewhere", [False, True])
def test_a_day_far_from_the_lines_of_its_file_is_no_arrival_day(
    spark, zone: LandingZone, tmp_path: Path, corrupt_log: str, is_spark_elsewhere: bool
) -> None:
    """A stray line arrives with the lines around it and is rejected; a line without a time does not inherit its day."""
    logs = stage_all(zone, tmp_path, {"a": corrupt_log})
    shared = zone.shared_staging("web") if is_spark_elsewhere else None
    days = land_events(spark, zone, WITHOUT_RECEIPT, logs, None, tmp_path / "staging", shared)
    if shared:
        assert {file.name for file in shared.iterdir()} == {"runs", logs[0].lines_file.name}
    february = [date(2026, 2, day) for day in range(1, 6)]
    assert days == [date(2025, 2, 1), *february, date(2026, 2, 8)]
    assert sum(day.lines for day in zone.days("web").values()) == corrupt_log.count("\n")
    found = cleaned_reasons(spark, zone, WITHOUT_RECEIPT)
    assert {found[day][0] for day in STRAYS} == {"implausible_time"}
    assert all(found[day][1] in february and found[f"after {day}"] == ("missing_event_at", found[day][1])
               for day in STRAYS)  # fmt: skip
    assert [found[day] for day in PLAUSIBLE] == [(None, date.fromisoformat(day)) for day in PLAUSIBLE]


def test_small_files_with_and_without_limits_land_as_one(
    spark, zone: LandingZone, tmp_path: Path, corrupt_log: str
) -> None:
    logs = stage_all(zone, tmp_path, {"a": corrupt_log, "b": "u,2026-02-01T12:00:00Z,\nu,2026-02-01T13:00:00Z,\n"})
    land_events(spark, zone, WITHOUT_RECEIPT, logs, None, tmp_path / "staging")
    [part] = zone.day_folder("web", date(2026, 2, 1)).glob("*.parquet")
    limits = {(row["file"], str(row["earliest"]), str(row["latest"])) for row in pq.read_table(part).to_pylist()}
    assert limits == {("a", "2025-02-01", "2026-02-08"), ("b", "None", "None")}


def test_a_toml_may_name_the_plausible_days(spark, zone: LandingZone, tmp_path: Path, corrupt_log: str) -> None:
    """They decide when a file lands; when its lines are cleaned, those of the TOML of then decide."""
    limited = SOURCE.model_copy(update={"times": Times(earliest=date(2026, 2, 2), latest=date(2026, 2, 28))})
    logs = stage_all(zone, tmp_path, {"a": corrupt_log})
    days = land_events(spark, zone, limited, logs, None, tmp_path / "staging")
    assert days == [date(2026, 2, day) for day in (2, 3, 4, 5, 8, 11)]
    found = cleaned_reasons(spark, zone, limited)
    assert {day for day in (*STRAYS, *PLAUSIBLE) if found[day][0] == "implausible_time"} == {
        "1996-02-01", "2000-01-01", "2024-12-31", "2037-04-09", "2025-02-01",
    }  # fmt: skip
    corrected = SOURCE.model_copy(update={"times": Times(earliest=date(2024, 1, 1), latest=date(2040, 1, 1))})
    again = cleaned_reasons(spark, zone, corrected)
    assert (again["2024-12-31"][0], again["2025-02-01"][0]) == (None, None)
    assert (again["2000-01-01"][0], again["2037-04-09"][0]) == ("implausible_time", "event_in_future")


def test_lines_on_a_given_day_are_tested_by_the_toml_only(spark, zone: LandingZone, tmp_path: Path) -> None:
    logs = stage_all(zone, tmp_path, {"a": "u,1996-02-01T12:00:00Z,\nu,2026-02-01T12:00:00Z,\n"})
    land_events(spark, zone, SOURCE, logs, date(2026, 2, 3), tmp_path / "staging")
    assert {reason for reason, _ in cleaned_reasons(spark, zone, SOURCE).values()} == {None}
    limited = SOURCE.model_copy(update={"times": Times(earliest=date(2020, 1, 1))})
    assert cleaned_reasons(spark, zone, limited)["1996-02-01"][0] == "implausible_time"


def test_a_file_outside_the_days_of_the_toml_is_an_error_with_advice(spark, zone: LandingZone, tmp_path: Path) -> None:
    limited = SOURCE.model_copy(update={"times": Times(earliest=date(2027, 1, 1))})
    logs = stage_all(zone, tmp_path, {"a": "u,2026-01-04T12:00:00Z,\n"})
    with pytest.raises(InputError, match=r"within earliest and latest of \[times\]"):
        land_events(spark, zone, limited, logs, None, tmp_path / "staging")


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

    by_source = landed_lines(spark, zone, CleanPlan(list(closed.values()), []))
    assert list(by_source) == ["web"]
    lines = by_source["web"].orderBy("file", "line").collect()
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


TYPED = Source.model_validate(
    {
        "name": "web",
        "reader": {
            "format": "jsonl",
            "fields": "user STRING, Time BIGINT, got STRING, `sent at` STRING, tags ARRAY<STRING>, dwell DOUBLE, "
            "clock STRUCT<made: STRING, zone: STRUCT<name: STRING>>",
        },
        "columns": {
            "user_id": "user", "event_at": "timestamp_millis(time)", "received_at": "to_timestamp(got)",
            "sent_at": "to_timestamp(`sent at`)", "created_at": "to_timestamp(clock.made)", "event_type": "'view'",
            "tags": "tags", "dwell_seconds": "dwell",
        },
        "event_types": {"view": {"as": "view"}},
    }
)  # fmt: skip
VALUES = {
    "user": ["u", "\\\\x27", 'quote "', None, 7],
    "Time": [1767600000000, -1, "1767600000000", 1.5, None, [1], 10**30],
    "got": ["2026-01-06T10:00:00Z", "2026-01-05T23:59:59+09:00", "yesterday", "", None, 5, {"a": [1]}],
    "sent at": ["2026-01-06T09:00:00Z", None],
    "tags": [["a", "b"], [], "a", {"a": 1}, [["a"], 1], None],
    "dwell": [1.5, "1.5", "NaN", "long", None, [1]],
    "clock": [{"made": "2026-01-04T08:00:00Z", "zone": {"name": "UTC"}}, {"made": 5, "zone": [1]}, [], "late", None],
}


def random_line(choose: random.Random) -> str:
    """Return a JSON line whose values often have the wrong type, often damaged by one change of its text."""
    names = choose.sample(list(VALUES), choose.randrange(len(VALUES) + 1))
    line = json.dumps({name: choose.choice(VALUES[name]) for name in names})
    at = choose.randrange(len(line) + 1)
    damage = choose.choice(["", "", "", "cut", "insert", "delete", "twice"])
    if damage == "insert":
        return line[:at] + choose.choice(['"', "{", "}", "[", "]", ",", ":", "\\", "\t", "\x00", "é", " "]) + line[at:]
    return {"": line, "cut": line[:at], "delete": line[:at] + line[at + 1 :], "twice": line + line}[damage]


def test_the_day_of_a_line_is_that_of_its_canonical_columns(frame_of) -> None:
    """Landing parses fewer fields than `clean`; whatever the line, its day is the same."""
    source = TYPED
    choose = random.Random(20)
    texts = [random_line(choose) for _ in range(4_000)]
    lines = frame_of([{"source": "web", "file": "a", "line": n, "text": text} for n, text in enumerate(texts)], LINES)
    columns = canonical_lines(lines.selectExpr("*", "CAST(NULL AS DATE) AS arrival_day"), source)
    expected = columns.selectExpr("line", "text", "to_date(coalesce(received_at, event_at)) AS own_day").collect()
    found = with_own_day(lines, source).select("line", "text", "own_day").collect()
    assert sorted(found) == sorted(expected)
    days = {row.own_day for row in found}
    assert {None, date(2026, 1, 4), date(2026, 1, 5), date(2026, 1, 6)} <= days


def test_lines_of_many_days_in_any_order_land_each_on_its_own(
    spark, zone: LandingZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.landing.text.BLOCK_BYTES", 1_000)
    choose = random.Random(5)
    days = {name: [choose.randrange(1, 28) for _ in range(300)] for name in ("a", "b", "c")} | {"d": [3] * 200}
    contents = {
        name: "".join(f"u{number},,2026-02-{day:02d}T12:00:00Z\n" for number, day in enumerate(of_lines))
        for name, of_lines in days.items()
    }
    land_events(spark, zone, SOURCE, stage_all(zone, tmp_path, contents), None, tmp_path / "staging")
    expected = {(name, number + 1, day) for name, of_lines in days.items() for number, day in enumerate(of_lines)}
    found = [
        (file, line, day.day)
        for day in zone.days("web")
        for part in zone.day_folder("web", day).glob("*.parquet")
        for file, line in zip(*pq.read_table(part, columns=["file", "line"]).to_pydict().values(), strict=True)
    ]
    assert len(found) == len(expected) and set(found) == expected
    assert all(len(list(zone.day_folder("web", day).glob("*.parquet"))) == 1 for day in zone.days("web"))


def test_large_files_of_a_day_are_not_written_again(
    zone: LandingZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.landing.arrival.SMALL_FILE_BYTES", 1_500)
    contents = {name: f"{name}\n" * count for name, count in (("a", 1), ("b", 1_000), ("c", 2))}
    logs = stage_all(zone, tmp_path, contents)
    large = logs[1].lines_file.stat().st_ino
    land_events(None, zone, SOURCE, logs, date(2026, 2, 1), tmp_path / "staging")
    parts = sorted(zone.day_folder("web", date(2026, 2, 1)).glob("*.parquet"))
    assert [pq.read_table(part)["file"].unique().to_pylist() for part in parts] == [["a", "c"], ["b"]]
    assert parts[1].stat().st_ino == large
    assert zone.days("web")[date(2026, 2, 1)].lines == 1_003
