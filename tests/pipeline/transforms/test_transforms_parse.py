"""Lines of every format become canonical columns, or are rejected with a reason; each line exactly once."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.demo.log import make_log
from pipeline.demo.plan import DemoPlan
from pipeline.demo.write import LineRenderer
from pipeline.errors import SourceError
from pipeline.settings import Settings
from pipeline.sources.schema import BUILT_IN, REASONS, Source, load_source, source_file
from pipeline.transforms.canonical import canonical_lines, check_expressions, check_items, with_reason
from pipeline.transforms.clean import validate

LINES = "source STRING, arrival_day DATE, file STRING, line BIGINT, text STRING, header STRING"
ARRIVAL_DAY = date(2026, 1, 5)
TYPES = '[event_types.pv]\nas = "view"\n[event_types.buy]\nas = "purchase"\nweight = 3.0\n'
JSON = f'''
name = "web"
[reader]
format = "jsonl"
fields = """id STRING, user STRING, device STRING, number BIGINT, at STRING, sent STRING, received STRING, type STRING,
    item STRING, tags ARRAY<STRING>, more STRUCT<dwell: DOUBLE, agent: STRING>, consent BOOLEAN"""
[columns]
event_id = "id"
user_id = "user"
device_id = "device"
event_at = "to_timestamp(at)"
event_type = "type"
item_id = "item"
tags = "tags"
dwell_seconds = "more.dwell"
user_agent = "more.agent"
consent = "consent"
{TYPES}'''
SEPARATED = f"""
name = "web"
[reader]
format = "csv"
columns = ["user", "item", "title", "type", "at"]
[columns]
user_id = "user"
item_id = "item"
url = "title"
event_type = "type"
event_at = "to_timestamp(at)"
{TYPES}"""
GOOD = {"user": "u", "at": "2026-01-05T10:00:00Z", "type": "pv"}

Validate = Callable[..., list[Any]]


@pytest.fixture
def source_of(tmp_path: Path) -> Callable[[str], Source]:
    def load(toml: str) -> Source:
        file = tmp_path / "web.toml"
        file.write_text(toml, encoding="utf-8")
        return load_source(file)

    return load


@pytest.fixture
def rows_of(frame_of, source_of) -> Validate:
    """Return the function that validates texts, or (text, header) pairs, by a TOML, one row per line in order."""

    def validate_texts(toml: str, texts: list[Any]) -> list[Any]:
        source = source_of(toml)
        rows = [
            {"source": "web", "arrival_day": ARRIVAL_DAY, "file": f"log{header}", "line": number, "text": text,
             "header": header}
            for number, one in enumerate(texts, 1)
            for text, header in [one if isinstance(one, tuple) else (one, None)]
        ]  # fmt: skip
        found = with_reason(canonical_lines(frame_of(rows, LINES), source), source.event_types, 1)
        collected = sorted(found.collect(), key=lambda row: row.line)  # by Spark it would take three jobs
        assert [row.line for row in collected] == list(range(1, len(texts) + 1)), "every line exactly once"
        assert all((row.reason is None) == (row.detail is None) for row in collected)
        return collected

    return validate_texts


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()


def line(**changed: Any) -> str:
    return json.dumps({**GOOD, **changed}, ensure_ascii=False)


def test_json_lines_are_read(rows_of: Validate) -> None:
    texts = [
        line(id=" e1 ", item="i", tags=[" a ", "", "b", "a", None], more={"dwell": 1.5, "agent": "x"}, consent=False),
        line(unknown={"deep": [1]}),
        line(user=9223372036854775807),
        line(user=-9223372036854775808),
        line(user=18446744073709551615),
        line(user="00042"),
        line(user=None, device="d"),
        line(user="käse 用户 🦆"),
        "  " + line() + " ",
    ]
    rows = rows_of(JSON, texts)
    assert [row.reason for row in rows] == [None] * len(texts)
    first = rows[0]
    assert (first.event_id, first.item_id, first.tags, first.dwell_seconds, first.user_agent, first.consent) == (
        "e1", "i", ["a", "b"], 1.5, "x", False,
    )  # fmt: skip
    assert (first.event_type, first.weight, utc(first.event_at)) == ("view", 1.0, "2026-01-05T10:00:00")
    assert [row.user_id for row in rows[2:6]] == [
        "9223372036854775807", "-9223372036854775808", "18446744073709551615", "00042",
    ]  # fmt: skip
    assert (rows[6].user_id, rows[6].device_id, rows[7].user_id) == (None, "d", "käse 用户 🦆")
    assert rows[1].tags == []


IDS, TEXTS = ("id", "user", "device", "session", "item"), ("url", "referrer", "agent", "ip")
COLUMN_OF = {"id": "event_id", "user": "user_id", "device": "device_id", "session": "session_id", "item": "item_id",
             "agent": "user_agent"}  # fmt: skip
WITH_SIZES = f"""
name = "web"
[reader]
format = "jsonl"
fields = "{" STRING, ".join((*IDS, *TEXTS))} STRING, at STRING, type STRING, tags ARRAY<STRING>"
[columns]
event_at = "to_timestamp(at)"
event_type = "type"
tags = "tags"
{"".join(f'{COLUMN_OF.get(name, name)} = "{name}"' + chr(10) for name in (*IDS, *TEXTS))}{TYPES}"""


@pytest.mark.parametrize("sizes", [{}, {"id_characters": 7, "text_characters": 9, "tags": 3}], ids=["default", "own"])
def test_an_event_larger_than_the_toml_allows_is_rejected(rows_of: Validate, sizes: dict[str, int]) -> None:
    most = {"id_characters": 2_000, "text_characters": 20_000, "tags": 1_000} | sizes
    fitting = {
        **dict.fromkeys(IDS, "ä" * most["id_characters"]),
        **dict.fromkeys(TEXTS, "é" * most["text_characters"]),
        "tags": ["ö" * most["id_characters"], *[f"t{number}" for number in range(most["tags"] - 1)]],
    }
    larger = {
        **{f"characters of {COLUMN_OF.get(name, name)}": (name, f"{fitting[name]}x") for name in (*IDS, *TEXTS)},
        "characters of a tag": ("tags", [f"{fitting['tags'][0]}x"]),
        "tags": ("tags", [*fitting["tags"], "more"]),
    }
    toml = WITH_SIZES + "[sizes]\n" + "".join(f"{key} = {number}\n" for key, number in sizes.items())
    row_of_fitting, *rows = rows_of(toml, [line(**fitting), *[line(**{name: text}) for name, text in larger.values()]])
    assert (row_of_fitting.reason, row_of_fitting.tags) == (None, fitting["tags"])
    for what, row in zip(larger, rows, strict=True):
        key = "tags" if what == "tags" else "text_characters" if larger[what][0] in TEXTS else "id_characters"
        expected = f"{most[key] + 1:,} {what}, expected at most {most[key]:,}: see {key} of [sizes] of the TOML"
        assert (row.reason, row.detail) == ("too_large", expected)


def test_huge_ids_and_many_tags_are_rejected_and_each_line_is_counted(cleaned_log, source_of, tmp_path: Path) -> None:
    huge = [line(**{name: "9" * 1_000_000}) for name in IDS]
    many = [line(tags=[str(number) for number in range(50_000)]), line(tags=["x" * 1_000_000])]
    (tmp_path / "log.jsonl").write_text("\n".join([line(), *huge, line(), *many, line(item="i")]))
    log = cleaned_log(source_of(WITH_SIZES), tmp_path / "log.jsonl")
    assert log.counts == {"accepted": 2, "duplicates": 1, "too_large": len(huge) + len(many)}
    assert log.lines_in == 10
    rejects = log.cleaned.rejects.select("detail").collect()
    assert max(len(row.detail) for row in rejects) < 120, "the detail names no value"


@pytest.mark.parametrize("group", ["parse", "content"])
def test_json_lines_are_refused_for_what_is_wrong(group: str, rows_of: Validate) -> None:
    unparsable = {
        "cut": line()[:-5], "empty": "", "blank": "   ", "array": "[]", "array of objects": f"[{line()}]",
        "number": "42", "text": '"x"', "null": "null", "no json": "GET / HTTP/1.1",
        "number of another type": line(number="many"), "number beyond 64 bits": line(number=1 << 64),
        "tags of another type": line(tags={"a": 1}), "object where a number is": line(more={"dwell": {}}),
        "consent of another type": line(consent="perhaps"),
        "nested without end": '{"user":' + "[" * 3000, "long number": '{"number":' + "9" * 3000 + "}",
    }  # fmt: skip
    wrong = {
        "unparsable": "empty object with a fault {",
        "missing_user": line(user=" ", device=""),
        "missing_event_at": line(at="n/a"),
        "missing_event_type": line(type=None),
        "unknown_event_type": line(type="heartbeat"),
        "event_in_future": line(at="2026-01-07T00:00:00Z"),
    }
    if group == "parse":
        rows = rows_of(JSON, list(unparsable.values()))
        found = {name: row.reason for name, row in zip(unparsable, rows, strict=True)}
        assert found == dict.fromkeys(unparsable, "unparsable")
    else:
        *rows, of_id, with_digits = rows_of(JSON, [*wrong.values(), line(type="user-4711"), line(type="ga4 view 2")])
        assert [row.reason for row in rows] == list(wrong)
        assert of_id.reason == "unknown_event_type" and "(not shown: it may be an id)" in of_id.detail
        assert "4711" not in of_id.detail and "ga4 view 2" in with_digits.detail
        assert "heartbeat" in rows[4].detail and "[event_types]" in rows[4].detail
        assert "2026-01-07" in rows[5].detail and "2026-01-05" in rows[5].detail


@pytest.mark.parametrize("rest", [line(user="lost"), '{"user": "lo', " and more"])
def test_text_after_the_object_makes_the_line_unparsable(rest: str, rows_of: Validate) -> None:
    (row,) = rows_of(JSON, [line() + rest])
    assert row.reason == "unparsable"


def test_times_are_read_to_the_microsecond_and_broken_clocks_refused(rows_of: Validate) -> None:
    times = {
        "2026-01-05T10:00:00.123456Z": "2026-01-05T10:00:00.123456",
        "2026-01-05T10:00:00+09:00": "2026-01-05T01:00:00",
        "2026-01-05 10:00:00": "2026-01-05T10:00:00",
        "2026-01-06T23:59:59.999999Z": "2026-01-06T23:59:59.999999",
        "1990-01-01T00:00:00Z": "1990-01-01T00:00:00",
        "1970-01-01T00:00:00Z": None,
        "0000-00-00T00:00:00Z": None,
        "2100-01-01T00:00:01Z": None,
        "+99999-01-01T00:00:00Z": None,
        "31.01.2026 08:15": None,
        "": None,
    }
    rows = rows_of(JSON, [line(at=at) for at in times])
    assert [row.event_at and utc(row.event_at) for row in rows] == list(times.values())
    assert [row.reason for row in rows] == [None if at else "missing_event_at" for at in times.values()]


def test_the_clock_of_the_device_is_corrected_where_all_three_times_are_known(rows_of: Validate) -> None:
    toml = JSON.replace(
        "event_at = ", 'sent_at = "to_timestamp(sent)"\nreceived_at = "to_timestamp(received)"\ncreated_at = '
    )
    created, sent, received = "2026-01-05T15:00:00Z", "2026-01-05T15:00:10.5Z", "2026-01-05T12:00:10.5Z"
    texts = [
        line(at=created, sent=sent, received=received),
        line(at=created, sent=sent),
        line(at=created, received=received),
        line(at="no time", sent=sent, received=received),
    ]
    rows = rows_of(toml, texts)
    assert [row.event_at and utc(row.event_at) for row in rows] == [
        "2026-01-05T12:00:00", "2026-01-05T15:00:00", "2026-01-05T12:00:10.500000", None,
    ]  # fmt: skip
    assert [row.clock_correction_seconds for row in rows] == [-10800.0, None, -10789.5, None]
    assert [row.reason for row in rows] == [None, None, None, "missing_event_at"]


ALL_TIMES = JSON.replace(
    "event_at = ", 'sent_at = "to_timestamp(sent)"\nreceived_at = "to_timestamp(received)"\ncreated_at = '
)


def clocks(rows: list[Any]) -> list[tuple[str, float | None]]:
    """Return time and correction of events."""
    return [(utc(row.event_at), row.clock_correction_seconds) for row in rows]


def test_an_event_created_after_it_was_sent_is_not_corrected(rows_of: Validate) -> None:
    """The stamp sent_at is of an earlier batch: received - (sent - created) would lie days in the future."""
    stale, received = "2025-12-22T10:00:00Z", "2026-01-05T12:00:01Z"
    texts = [
        line(at="2026-01-05T12:00:00Z", sent=stale, received=received),
        line(at="2025-12-22T09:59:00Z", sent=stale, received=received),
        line(user="v", at="2026-01-05T11:00:00.5Z", sent="2026-01-05T11:00:00Z", received=received),
        line(user="v", at="2026-01-05T10:59:00Z", sent="2026-01-05T11:00:00Z", received=received),
    ]
    rows = rows_of(ALL_TIMES, texts)
    assert clocks(rows) == [
        ("2026-01-05T12:00:00", None),
        ("2025-12-22T09:59:00", None),  # the whole batch has a stale stamp
        ("2026-01-05T11:00:00.500000", None),
        ("2026-01-05T11:59:01", 3601.0),  # the clock is an hour behind; half a second is no stale stamp
    ]
    assert [row.reason for row in rows] == [None] * 4


def test_a_batch_has_one_offset_so_its_order_stays(rows_of: Validate) -> None:
    """Lines of one batch are received at different times: the smallest difference is the nearest to the clock's."""
    at = {"first": "10:00:00", "second": "10:00:01", "third": "10:00:02"}
    seconds = {"first": "09", "second": "05", "third": "07"}
    texts = [
        line(device=device, user=None, at=f"2026-01-05T{at[name]}Z", sent="2026-01-05T10:00:03Z",
             received=f"2026-01-05T10:00:{seconds[name]}Z")
        for device in ("d", "e")
        for name in at
        if (device, name) != ("e", "second")
    ]  # fmt: skip
    assert clocks(rows_of(ALL_TIMES, texts)) == [
        ("2026-01-05T10:00:02", 2.0), ("2026-01-05T10:00:03", 2.0), ("2026-01-05T10:00:04", 2.0),
        ("2026-01-05T10:00:04", 4.0), ("2026-01-05T10:00:06", 4.0),
    ]  # fmt: skip


def test_no_event_lies_after_its_receipt(rows_of: Validate) -> None:
    """A little after, it is moved to it, and created_at keeps what the device wrote; days after, it is rejected."""
    toml = JSON.replace("event_at = ", 'received_at = "to_timestamp(received)"\nevent_at = ')
    received = "2026-01-05T12:00:00Z"
    texts = [
        line(at="2026-01-05T12:00:00Z", received=received),
        line(at="2026-01-06T23:59:59Z", received=received),
        line(at="2026-01-07T00:00:00Z", received=received),
    ]
    rows = rows_of(toml, texts)
    assert [row.reason for row in rows] == [None, None, "event_in_future"]
    assert clocks(rows[:2]) == [("2026-01-05T12:00:00", None), ("2026-01-05T12:00:00", -129599.0)]
    assert [row.created_at and utc(row.created_at) for row in rows[:2]] == [None, "2026-01-06T23:59:59"]


EPOCHS = {
    "1767607200": "2026-01-05T10:00:00",
    "1767607200.000001": "2026-01-05T10:00:00.000001",
    "1767607200123": "2026-01-05T10:00:00.123000",
    "1.767607200123E12": "2026-01-05T10:00:00.123000",
    "1767607200123457": "2026-01-05T10:00:00.123457",
    "1767607200123457999": "2026-01-05T10:00:00.123457",
    "0": None,
    "17676072001234567890123": None,
    "1" + "0" * 36: None,
    "2026-01-05T10:00:00Z": None,
    "": None,
}


@pytest.mark.parametrize(
    "expression",
    [
        "epoch(at)",
        "CASE WHEN at RLIKE '^[0-9]' AND at NOT LIKE '%epoch(at)%' THEN EPOCH (replace(concat(at, ')'), ')')) END",
        "coalesce(epoch(at), epoch(nullif(at, at)))",
        "transform(array(at), t -> epoch(t))[0]",
    ],
)
def test_epoch_distinguishes_units_and_keeps_microseconds(expression: str, rows_of: Validate, compiled: None) -> None:
    toml = JSON.replace("to_timestamp(at)", expression)
    rows = rows_of(toml, [line(at=at) for at in EPOCHS])
    assert [row.event_at and utc(row.event_at) for row in rows] == list(EPOCHS.values())


def test_epoch_reads_numbers_of_any_type(rows_of: Validate) -> None:
    toml = JSON.replace("to_timestamp(at)", "coalesce(epoch(number), epoch(more.dwell))")
    rows = rows_of(toml, [line(number=1767607200123457), line(more={"dwell": 1767607200.25})])
    assert [utc(row.event_at) for row in rows] == ["2026-01-05T10:00:00.123457", "2026-01-05T10:00:00.250000"]


def test_epoch_without_its_parenthesis_is_refused(source_of) -> None:
    with pytest.raises(SourceError, match=r"columns\.event_at"):
        source_of(JSON.replace("to_timestamp(at)", "epoch(at"))


def test_a_corrected_time_outside_the_calendar_is_null(rows_of: Validate) -> None:
    """The clock jumped between creation and sending: the corrected time is in 1918."""
    toml = JSON.replace(
        "event_at = ", 'sent_at = "to_timestamp(sent)"\nreceived_at = "to_timestamp(received)"\ncreated_at = '
    )
    (row,) = rows_of(
        toml, [line(at="1991-01-01T00:00:00Z", sent="2099-01-01T00:00:00Z", received="2026-01-05T12:00:00Z")]
    )
    assert row.reason == "missing_event_at"


def test_csv_is_read_with_quotes_and_refused_where_fields_lack_or_abound(rows_of: Validate) -> None:
    texts = [
        'u,i,"a, ""b""",pv,2026-01-05 10:00:00',
        "u,,,buy,2026-01-05 10:00:00",
        "u,i,t,pv",
        "u,i,t,pv,2026-01-05 10:00:00,more",
        ",i,t,pv,2026-01-05 10:00:00",
        'u,i,"never closed,pv,2026-01-05 10:00:00',
        "-9223372036854775808,i,t,pv,2026-01-05 10:00:00",
        "",
    ]
    rows = rows_of(SEPARATED, texts)
    assert [row.reason for row in rows] == [
        None, None, "unparsable", "unparsable", "missing_user", "unparsable", None, "unparsable",
    ]  # fmt: skip
    assert (rows[0].url, rows[0].item_id, rows[0].event_type) == ('a, "b"', "i", "view")
    assert (rows[1].url, rows[1].item_id, rows[1].weight) == (None, None, 3.0)
    assert "expected 5 fields: user,item,title,type,at" in rows[2].detail
    assert rows[6].user_id == "-9223372036854775808"


def test_a_csv_line_of_thirty_thousand_fields_is_refused_and_fails_no_job(rows_of: Validate) -> None:
    rows = rows_of(SEPARATED, ["," * 30_000, "u,i,t,pv,2026-01-05 10:00:00"])
    assert [row.reason for row in rows] == ["unparsable", None]


def test_columns_of_a_header_may_change_between_files(rows_of: Validate) -> None:
    toml = SEPARATED.replace("columns = [", "header = true\ncolumns = [")
    january, february = "user,item,type,at", 'at,"user",title,type,,item'
    texts = [
        ("u1,i1,pv,2026-01-05 10:00:00", january),
        ("2026-01-05 11:00:00,u2,hat,buy,x,i2", february),
        ("2026-01-05 11:00:00,u2,hat,buy", february),
        ("u3,i3,pv,2026-01-05 12:00:00", january),
    ]
    rows = rows_of(toml, texts)
    assert [row.reason for row in rows] == [None, None, "unparsable", None]
    assert [(row.user_id, row.item_id, row.url) for row in rows if not row.reason] == [
        ("u1", "i1", None), ("u2", "i2", "hat"), ("u3", "i3", None),
    ]  # fmt: skip


def test_a_header_may_have_quoted_names_with_the_separator_in_them(rows_of: Validate) -> None:
    toml = SEPARATED.replace("columns = [", "header = true\ncolumns = [")
    (row,) = rows_of(toml, [("u1,i1,99,hat,pv,2026-01-05 10:00:00", 'user,item,"price, EUR",title,type,at')])
    assert (row.reason, row.user_id, row.url) == (None, "u1", "hat")


def test_trailing_empty_values_beyond_the_header_are_ignored(rows_of: Validate) -> None:
    """Some exports end each row in separators. A value there still makes the line unparsable."""
    header = "user,item,title,type,at"
    texts = [
        'u1,i1,"a, ""b"",",pv,2026-01-05 10:00:00,,',
        "u1,i1,,pv,2026-01-05 10:00:00,",
        "u1,i1,,pv,2026-01-05 10:00:00,,x",
        ",,,,,,,",
        'u1,i1,"never closed,pv,2026-01-05 10:00:00,,',
    ]
    rows = rows_of(SEPARATED.replace("columns = [", "header = true\ncolumns = ["), [(text, header) for text in texts])
    assert [row.reason for row in rows] == [None, None, "unparsable", "missing_user", "unparsable"]
    assert [row.url for row in rows[:2]] == ['a, "b",', None]
    toml = SEPARATED.replace('"csv"', '"csv"\nseparator = "::"\nheader = true')
    (row,) = rows_of(toml, [("u::i::t::pv::2026-01-05 10:00:00::::", header.replace(",", "::"))])
    assert (row.reason, row.url) == (None, "t")


@pytest.mark.parametrize(
    ("header", "reasons"),
    [
        ("user,User,item,,title,type,at", [None, None]),
        ('user,it`em,item,"a,b",title,type,at', [None, None]),
        ("user,item,title,type,at,__broken,__problem", [None, None]),
        ("", ["unparsable", "unparsable"]),
        ('"', ["unparsable", "unparsable"]),
        ("\x00\ufffd`", ["unparsable", "unparsable"]),
        (",".join(f"c{number}" for number in range(3_000)), ["unparsable", "unparsable"]),
        ("x" * 200_000, ["unparsable", "unparsable"]),
        ("user\ritem,item", ["unparsable", "unparsable"]),
    ],
    ids=["twice", "backtick", "our names", "empty", "quote", "binary", "three thousand", "huge", "CR"],
)
def test_an_invalid_header_fails_no_job(header: str, reasons: list[str | None], rows_of: Validate) -> None:
    toml = SEPARATED.replace("columns = [", "header = true\ncolumns = [")
    texts = ["u1,x,i1,,hat,pv,2026-01-05 10:00:00", "u2,x,i2,,hat,buy,2026-01-05 10:00:00"]
    if "__" in header:
        texts = ["u1,i1,hat,pv,2026-01-05 10:00:00,x,", "u2,i2,hat,buy,2026-01-05 10:00:00,,y"]
    rows = rows_of(toml, [(text, header) for text in texts])
    assert [row.reason for row in rows] == reasons
    assert [(row.user_id, row.item_id) for row in rows if not row.reason] in ([], [("u1", "i1"), ("u2", "i2")])


def test_lines_landed_without_a_header_have_the_columns_of_the_toml(rows_of: Validate) -> None:
    toml = SEPARATED.replace("columns = [", "header = true\ncolumns = [")
    rows = rows_of(toml, ["u1,i1,hat,pv,2026-01-05 10:00:00", ("hat,u2,pv,2026-01-05 10:00:00", "title,user,type,at")])
    assert [(row.user_id, row.url, row.reason) for row in rows] == [("u1", "hat", None), ("u2", "hat", None)]


def test_a_column_that_a_header_lacks_is_null(rows_of: Validate) -> None:
    toml = SEPARATED.replace("columns = [", "header = true\ncolumns = [")
    (row,) = rows_of(toml, [("u1,i1,hat,pv,2026-01-05 10:00:00", "usr,item,title,type,at")])
    assert (row.reason, row.item_id, row.url) == ("missing_user", "i1", "hat")


def test_tsv_takes_quotes_and_commas_as_they_are(rows_of: Validate) -> None:
    rows = rows_of(
        SEPARATED.replace('"csv"', '"tsv"'),
        ['u\ti\t"half, a \\quote\tpv\t2026-01-05 10:00:00', "u\ti\tt\tpv", "u\t\t\tpv\t2026-01-05 10:00:00"],
    )
    assert [row.reason for row in rows] == [None, "unparsable", None]
    assert rows[0].url == '"half, a \\quote'


def test_another_separator(rows_of: Validate) -> None:
    (row,) = rows_of(
        SEPARATED.replace('format = "csv"', 'format = "csv"\nseparator = "::"'), ["u::i::t::pv::2026-01-05 10:00:00"]
    )
    assert (row.reason, row.user_id, row.url) == (None, "u", "t")


def test_lines_are_read_by_the_named_groups_of_a_pattern(rows_of: Validate) -> None:
    toml = f"""
name = "web"
[reader]
format = "regex"
pattern = '^(?<host>\\S+) (\\S+) \\S+ \\[(?<time>[^\\]]+)\\] "(?:GET|POST) (?<path>\\S+)[^"]*" (?<status>\\d+)'
[columns]
user_id = "host"
event_at = "to_timestamp(time, 'dd/MMM/yyyy:HH:mm:ss Z')"
event_type = "if(status < 400, 'pv', 'error')"
url = "path"
{TYPES}"""
    rows = rows_of(
        toml,
        [
            'a.example - - [05/Jan/2026:10:00:00 -0500] "GET /x?q=1 HTTP/1.0" 200 12',
            'a.example - - [05/Jan/2026:10:00:00 -0500] "GET /x HTTP/1.0" 404 12',
            'a.example - - [05/Jan/2026:10:00:00 -0500] "HEAD /x HTTP/1.0" 200 12',
            'a.example - - [yesterday] "POST / HTTP/1.0" 200 12',
        ],
    )
    assert [row.reason for row in rows] == [None, "unknown_event_type", "unparsable", "missing_event_at"]
    assert (rows[0].user_id, rows[0].url, utc(rows[0].event_at)) == ("a.example", "/x?q=1", "2026-01-05T15:00:00")


RULES = """
[reject_when]
bot = "lower(more.agent) LIKE '%bot%'"
untimed = "at = 'never'"
staff = "user LIKE 'staff-%' OR device = 'kiosk'"
"""


def test_lines_are_excluded_by_the_first_rule_that_is_true(rows_of: Validate) -> None:
    bot = {"agent": "GoodBot/1.0"}
    texts = {
        line(): None,
        line(more=bot): "bot",
        line(user="staff-1"): "staff",
        line(user="staff-1", more=bot): "bot",
        line(at="never", user=None): "untimed",
        line(at="n/a", device="kiosk"): "staff",
        line(at="n/a"): "missing_event_at",
        line(type="heartbeat", user="staff-2"): "staff",
        line(user="staff-3")[:-1]: "unparsable",
        "": "unparsable",
    }
    rows = rows_of(JSON + RULES, list(texts))
    assert [row.reason for row in rows] == list(texts.values())
    assert rows[2].detail == "set aside by the rule reject_when.staff of the TOML"


@pytest.mark.parametrize(
    ("found", "instead", "key"),
    [
        ('"to_timestamp(at)"', '"to_timestamp(at"', "columns.event_at"),
        ('"to_timestamp(at)"', '"to_timestmp(at)"', "columns.event_at"),
        ('user_id = "user"', 'user_id = "usr"', "columns.user_id"),
        ('tags = "tags"', 'tags = "item"', "columns.tags"),
        ('item_id = "item"', 'item_id = "max(item)"', "columns.item_id"),
        ('item_id = "item"', 'item_id = "explode(tags)"', "columns.item_id"),
        ("number BIGINT", "number BIGNT", "reader.fields"),
        ("[event_types.pv]", '[reject_when]\nstaff = "usr = 1"\n[event_types.pv]', "reject_when.staff"),
        ("[event_types.pv]", '[reject_when]\nstaff = "max(user) = 1"\n[event_types.pv]', "reject_when.staff"),
        ("[event_types.pv]", '[reject_when]\nstaff = "user ="\n[event_types.pv]', "reject_when.staff"),
        ("[event_types.pv]", '[reject_when]\nstaff = "user"\n[event_types.pv]',
         "reject_when.staff' = 'user': its value is of type string; expected a condition"),
        ("[event_types.pv]", '[items]\nfiles = "c*"\nitem_id = "no_such"\n[items.reader]\nformat = "jsonl"\n'
         'fields = "item STRING"\n[event_types.pv]', "items.item_id"),
    ],
)  # fmt: skip
def test_a_wrong_expression_is_an_error_that_names_file_and_key(
    found: str, instead: str, key: str, spark, source_of: Callable[[str], Source]
) -> None:
    assert found in JSON
    check = check_items if key.startswith("items.") else check_expressions
    with pytest.raises(SourceError) as raised:
        check(spark, source_of(JSON.replace(found, instead)), Path("shop/web.toml"))
    assert "web.toml: " in str(raised.value) and key in str(raised.value)


def test_a_wrong_pattern_is_an_error_that_names_file_and_key(source_of: Callable[[str], Source]) -> None:
    with pytest.raises(SourceError, match=r"web\.toml: key 'reader\.pattern'"):
        source_of('name = "web"\n[reader]\nformat = "regex"\npattern = "(?<user>"\n[columns]\nuser_id = "user"\n'
                  f'event_at = "user"\nevent_type = "user"\n{TYPES}')  # fmt: skip


@pytest.mark.parametrize("name", sorted(file.stem for file in BUILT_IN.glob("*.toml")))
def test_the_expressions_of_built_in_sources_are_right(name: str, spark) -> None:
    check_expressions(spark, load_source(source_file(name)), source_file(name))
    check_items(spark, load_source(source_file(name)), source_file(name))


@pytest.mark.parametrize("epoch", ["99999999999999", "-99999999999999", "9223372036854775807", "1e400", "NaN"])
def test_a_time_beyond_all_calendars_refuses_its_line_only(epoch: str, frame_of) -> None:
    source = load_source(source_file("taobao"))
    rows = [
        {"source": "taobao", "arrival_day": date(2017, 11, 26), "file": "log", "line": 1, "text": f"1,2,3,pv,{epoch}"}
    ]
    validated = with_reason(canonical_lines(frame_of(rows, LINES), source), source.event_types, 1)
    assert [row.reason for row in validated.collect()] == ["missing_event_at"]


SPOILERS = [
    "",
    '"',
    ",",
    "{",
    "}",
    "[",
    "\\",
    "\t",
    "\u0000",
    "é",
    "🦆",
    "\u2028",
    "9",
    "-",
    "null",
    "\\u0000",
    ",,",
    "  ",
]


def mutated(texts: list[str], count: int, seed: int) -> list[str]:
    """Return lines of which up to four parts are deleted, doubled, swapped or damaged."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        text = texts[int(random.integers(len(texts)))]
        for _ in range(int(random.integers(0, 5))):
            first, last = sorted(int(place) for place in random.integers(0, len(text) + 1, 2))
            last = min(last, first + int(random.integers(0, 12)))
            part = text[first:last]
            spoilt = [SPOILERS[int(random.integers(len(SPOILERS)))], "", part * 2, part[::-1], text[last:]]
            text = text[:first] + spoilt[int(random.integers(5))] + text[last:]
        lines.append(text)
    return lines


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_ten_thousand_mutated_lines_are_each_judged_once(frame_of, tmp_path: Path) -> None:
    log = make_log(DemoPlan(users=20, days=7))
    of_demo = list(LineRenderer(log).texts(np.arange(500)))
    random = np.random.default_rng(9)
    of_taobao = [
        f"{random.integers(1, 10**6)},{random.integers(1, 10**6)},{random.integers(1, 10**6)},"
        f"{random.choice(['pv', 'cart', 'fav', 'buy'])},{random.integers(1511600000, 1512200000)}"
        for _ in range(500)
    ]
    settings = Settings(home=tmp_path)
    for name, texts, day in (("demo", of_demo, log.plan.first_day), ("taobao", of_taobao, date(2017, 12, 2))):
        lines = mutated(texts, 5_000, seed=len(name))
        rows = [
            {"source": name, "arrival_day": day, "file": "log", "line": number, "text": text}
            for number, text in enumerate(lines, 1)
        ]
        validated = validate(frame_of(rows, LINES), load_source(source_file(name)), b"key", settings).collect()
        assert sorted(row.line for row in validated) == list(range(1, len(lines) + 1))
        for row in validated:
            assert row.text == lines[row.line - 1]
            if row.reason:
                assert row.reason in REASONS and row.detail
            else:
                assert len(row.user_id) == 64 and None not in (
                    row.event_id,
                    row.event_at,
                    row.event_type,
                    row.weight,
                    row.tags,
                )
        outcomes = {row.reason for row in validated}
        assert {None, "unparsable", "missing_event_at", "unknown_event_type"} <= outcomes
