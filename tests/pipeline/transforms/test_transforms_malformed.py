"""Ten thousand malformed lines per reader, as bytes of a file: each is counted once, and none fails the job."""

import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.landing.staging import input_files
from pipeline.sources.schema import REASONS, Source, load_source, source_file

DAY = date(2026, 1, 5)
MALFORMED, VALID = 10_000, 200
CONTROLS = [bytes([code]) for code in range(32) if code != ord("\n")] + [b"\x7f"]
NO_UTF8 = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xe2\x80"]
LINE_ENDS = ["\u2028".encode(), "\u2029".encode(), "\x85".encode(), b"\x0b", b"\x0c", b"\r", b"\r\r", b"\r\n", b"\n\r"]
QUOTES = [b'"', b"'", b"\\", b'""', b'\\"', b'"""', b"`", "\u201c".encode()]
ESCAPES = [
    b"\\u0000",
    b"\\ud800",
    b"\\x",
    b"%",
    b"%zz",
    b"&amp;",
    b"\\N",
    b"null",
    b"NaN",
    b"-0",
    b"[",
    b"}",
    b"{",
    b"]",
]
NUMBERS = [b"9" * 40, b"-9223372036854775809", b"1e999", b"0x1f", b"1_000", b"--1", b"9" * 2_000]
DATES = [
    b"99999-99-99",
    b"0000-00-00T00:00:00Z",
    b"+292278994-08-17T07:12:55.807Z",
    b"31/Feb/2026:25:61:61 +9999",
    b"-1",
]
BOM = "\ufeff".encode()

Malform = Callable[[random.Random, bytes, bytes], bytes]


def inserted(parts: Sequence[bytes]) -> Malform:
    def insert(rng: random.Random, line: bytes, _: bytes) -> bytes:
        place = rng.randint(0, len(line))
        return line[:place] + b"".join(rng.choices(parts, k=rng.randint(1, 3))) + line[place:]

    return insert


def in_place_of_digits(parts: Sequence[bytes]) -> Malform:
    def replace(rng: random.Random, line: bytes, _: bytes) -> bytes:
        places = [place for place, byte in enumerate(line) if 48 <= byte <= 57]
        if not places:
            return line + rng.choice(parts)
        first = last = rng.choice(places)
        while last < len(line) and line[last] in b"0123456789-:T":
            last += 1
        return line[:first] + rng.choice(parts) + line[last:]

    return replace


def cut(rng: random.Random, line: bytes, _: bytes) -> bytes:
    first, last = sorted((rng.randint(0, len(line)), rng.randint(0, len(line))))
    return rng.choice([line[:last], line[first:], line[:first] + line[last:]])


def glued(rng: random.Random, line: bytes, other: bytes) -> bytes:
    return line + other[rng.choice([0, rng.randint(0, len(other))]) :]


def part_twice(rng: random.Random, line: bytes, _: bytes) -> bytes:
    first, last = sorted((rng.randint(0, len(line)), rng.randint(0, len(line))))
    return line[:last] + line[first:]


def shuffled(rng: random.Random, line: bytes, _: bytes) -> bytes:
    return bytes(rng.sample(line, len(line)))


def of_any_bytes(rng: random.Random, line: bytes, _: bytes) -> bytes:
    return rng.randbytes(rng.randint(0, 200))


def malformations(separator: bytes) -> list[tuple[Malform, int]]:
    """Return the ways to damage a line, and how often each is used."""
    return [
        (cut, 20), (glued, 10), (part_twice, 10), (shuffled, 3), (of_any_bytes, 5),
        (inserted(CONTROLS), 10), (inserted(NO_UTF8), 10), (inserted(LINE_ENDS), 10), (inserted(QUOTES), 15),
        (inserted(ESCAPES), 15), (inserted([BOM]), 5), (inserted([separator, separator * 2]), 10),
        (in_place_of_digits(NUMBERS), 10), (in_place_of_digits(DATES), 10),
        (lambda rng, line, other: line[:1] + b'"user": "twice", ' + line[1:], 3),
        (lambda rng, line, other: rng.choice([b"", b" ", b"\t  ", b"\r", separator]), 3),
        (inserted([separator * 3_000, b'{"a":' * 1_500, b"[" * 3_000, b"(" * 3_000, b'"' * 3_001]), 1),
    ]  # fmt: skip


def malformed(valid: Sequence[bytes], separator: bytes, count: int = MALFORMED) -> list[bytes]:
    """Return `count` lines that were valid before up to three damages, and a few huge ones."""
    rng = random.Random(5)
    ways, weights = zip(*malformations(separator), strict=True)
    lines = []
    for _ in range(count):
        line, other = rng.choices(valid, k=2)
        for way in rng.choices(ways, weights, k=rng.randint(1, 3)):
            line = way(rng, line, other)
        lines.append(line)
    whole = valid[0]
    long = [b"x" * 3, b"[", b'"', b"\\", b"\x00", b"9"]
    huge = [separator * 30_000, *[part * 100_001 for part in long]]
    for part in huge:
        place = rng.randrange(len(whole))
        lines += [part, whole[:place] + part + whole[place:], whole + part, part + whole]
    return lines


def json_line(number: int) -> str:
    event = {
        "id": f"e{number}", "user": number - 50, "device": "d", "number": number,
        "at": f"2026-01-05T10:00:{number % 60:02}Z", "type": "pv", "item": f"i{number}", "tags": ["a", "b"],
        "more": {"dwell": 1.5, "agent": "x é"}, "consent": True,
    }  # fmt: skip
    return json.dumps(event)


def csv_line(number: int) -> str:
    return f'{number - 50},i{number},"a ""title""",pv,2026-01-05 10:00:{number % 60:02}'


def csv_backslash(number: int) -> str:
    return csv_line(number).replace('""', '\\"')


def tsv_line(number: int) -> str:
    return csv_line(number).replace(",", "\t")


def combined(number: int) -> str:
    request = f'"GET /garden/{number}?a=b HTTP/1.1"'
    return f'192.0.2.{number} - - [05/Jan/2026:10:00:00 +0000] {request} 200 12 "-" "Mozilla/5.0 (X11)"'


def w3c_line(number: int) -> str:
    return f"2026-01-05 10:00:{number % 60:02} 192.0.2.{number} u{number} GET /item/{number} 200"


def packed(content: bytes, kind: str) -> bytes:
    """Return the bytes of an archive with one member, `log`."""
    archive = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packing:
            packing.writestr("log", content)
    else:
        with tarfile.open(fileobj=archive, mode="w:gz") as packing:
            info = tarfile.TarInfo("log")
            info.size = len(content)
            packing.addfile(info, io.BytesIO(content))
    return archive.getvalue()


TYPES = {"event_types": {"pv": {"as": "view"}}, "identity": {"placeholders": False}}
JSON = {
    "reader": {
        "format": "jsonl",
        "fields": "id STRING, user STRING, device STRING, number BIGINT, at STRING, type STRING, item STRING, "
        "tags ARRAY<STRING>, more STRUCT<dwell: DOUBLE, agent: STRING>, consent BOOLEAN",
    },
    "columns": {
        "event_id": "id", "user_id": "user", "device_id": "device", "event_at": "to_timestamp(at)",
        "event_type": "type", "item_id": "item", "tags": "tags", "dwell_seconds": "more.dwell",
        "user_agent": "more.agent", "consent": "consent",
    },
    **TYPES,
}  # fmt: skip
SEPARATED = {
    "columns": {
        "user_id": "user", "item_id": "item", "url": "title", "tags": "split(item, 'i')", "event_type": "type",
        "event_at": "coalesce(to_timestamp(at), cast(cast(at AS BIGINT) AS TIMESTAMP))",
    },
    **TYPES,
}  # fmt: skip
NAMES = ["user", "item", "title", "type", "at"]
READERS: dict[str, tuple[dict[str, Any], str, Callable[[int], str], str]] = {
    "jsonl": (JSON, ",", json_line, ""),
    "csv": ({"reader": {"format": "csv", "columns": NAMES}, **SEPARATED}, ",", csv_line, ""),
    "csv with header": (
        {"reader": {"format": "csv", "columns": NAMES, "header": True}, **SEPARATED}, ",", csv_line,
        "user,item,title,type,at",
    ),
    "tsv": ({"reader": {"format": "tsv", "columns": NAMES}, **SEPARATED}, "\t", tsv_line, ""),
    "regex": ({}, " ", combined, ""),
    "csv in a zip": (
        {"reader": {"format": "csv", "columns": NAMES, "escape": "\\"}, **SEPARATED}, ",", csv_backslash, "",
    ),
    "csv in a tar.gz": ({"reader": {"format": "csv", "columns": NAMES}, **SEPARATED}, ",", csv_line, ""),
    "w3c": (
        {
            "reader": {"format": "w3c", "columns": ["date", "time", "cs_username", "cs_method", "cs_uri_stem"]},
            "columns": {
                "user_id": "cs_username", "item_id": "cs_uri_stem", "event_type": "cs_method",
                "event_at": "to_timestamp(concat(date, ' ', time))",
            },
            "event_types": {"GET": {"as": "view"}},
        },
        " ", w3c_line, "",
    ),
}  # fmt: skip


def source_of(toml: dict[str, Any]) -> Source:
    return Source.model_validate({"name": "web", **toml}) if toml else load_source(source_file("combined"))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_of_ten_thousand_malformed_lines_each_is_counted_once(reader: str, cleaned_log, tmp_path: Path) -> None:
    toml, separator, render, header = READERS[reader]
    valid = [render(number).encode() for number in range(VALID)]
    lines = [*([header.encode()] if header else []), *valid, *malformed(valid, separator.encode())]
    if reader == "w3c":
        lines = [b"#Fields: date time c-ip cs-username cs-method cs-uri-stem sc-status", *lines]
    content = b"\n".join(lines)
    kind = next((one for one in ("zip", "tar.gz") if reader.endswith(one)), None)
    (tmp_path / "log").write_bytes(packed(content, kind) if kind else content)

    source = source_of(toml)
    log = cleaned_log(source, *input_files([tmp_path / "log"]), arrival_day=DAY)
    landed = content.removesuffix(b"\n").split(b"\n")[bool(header) :]
    texts = [line.removesuffix(b"\r").decode(source.reader.encoding, "backslashreplace") for line in landed]
    assert log.lines_in == len(texts) > MALFORMED
    validated = sorted(log.validated.select("line", "text", "reason").collect(), key=lambda row: row.line)
    assert [row.text for row in validated] == texts
    first = int(reader == "w3c")
    assert [row.reason for row in validated[first : VALID + first]] == [None] * VALID
    assert log.counts["accepted"] >= VALID and log.counts["unparsable"] > MALFORMED / 10
    assert set(log.counts) - {"accepted", "duplicates"} <= {*REASONS, *source.reject_when, "comment"}


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_of_ten_thousand_malformed_rows_of_parquet_each_is_counted_once(cleaned_log, tmp_path: Path) -> None:
    """Parquet can store text that is not UTF-8, times beyond the calendar and NaN."""
    rng = random.Random(6)
    valid = [str(number).encode() for number in range(VALID)]
    users = [*valid, *malformed([json_line(number).encode() for number in range(VALID)], b",")]

    def cells(good: Sequence[Any], bad: Sequence[Any]) -> list[Any]:
        return [*good, *rng.choices([*good, *bad], k=len(users) - VALID)]

    noon = 1_767_614_400_000_000  # 2026-01-05T12:00Z
    beyond = [-(2**63), 2**63 - 1, 0, 253_402_300_800_000_000, None] * 10
    columns = {
        "user": pa.array(users, pa.binary()).view(pa.string()),
        "at": pa.array(cells([noon + number for number in range(VALID)], beyond), pa.timestamp("us", tz="UTC")),
        "day": pa.array(cells([20_000] * VALID, [2**31 - 1, -(2**31), None]), pa.int32()).view(pa.date32()),
        "type": pa.array(cells(["pv"] * VALID, ["", "PV", "\x00", "\ufeffpv", None] * 10)),
        "item": pa.array(cells(range(VALID), [-(2**63), 2**63 - 1, None]), pa.int64()),
        "price": pa.array(cells([1.5] * VALID, [float("nan"), float("inf"), -float("inf"), 1e308, None] * 20)),
        "tags": pa.array(cells([["a"]] * VALID, [[], [None], ["x" * 1_000] * 50, None]), pa.list_(pa.string())),
        "raw": pa.array(cells([b""] * VALID, [b"\xff\x00\n", b'"}', None]), pa.binary()),
        "lag": pa.array(cells([0] * VALID, [2**63 - 1, -(2**63)]), pa.duration("s")),
    }
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    reader = {
        "format": "parquet",
        "fields": "user STRING, at STRING, type STRING, item BIGINT, price DOUBLE, tags ARRAY<STRING>",
    }
    of_fields = {
        "user_id": "user", "event_at": "to_timestamp(at)", "event_type": "type", "item_id": "item", "tags": "tags",
        "dwell_seconds": "price",
    }  # fmt: skip
    log = cleaned_log(
        source_of({"reader": reader, "columns": of_fields, **TYPES}), tmp_path / "log.parquet", arrival_day=DAY
    )
    assert log.lines_in == len(users) > MALFORMED
    validated = sorted(log.validated.select("line", "text", "reason").collect(), key=lambda row: row.line)
    assert [row.line for row in validated] == list(range(1, len(users) + 1))
    assert [json.loads(row.text)["user"] for row in validated] == [
        user.decode(errors="backslashreplace") for user in users
    ]
    assert [row.reason for row in validated[:VALID]] == [None] * VALID
    assert log.counts["accepted"] > MALFORMED / 10
    assert {*log.counts} - {"accepted", "duplicates"} == {
        "missing_user", "missing_event_at", "missing_event_type", "unknown_event_type", "too_large",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_of_ten_thousand_malformed_records_of_avro_each_is_counted_once(cleaned_log, tmp_path: Path) -> None:
    rng = random.Random(7)
    valid = [str(number) for number in range(VALID)]
    bad = [text.decode(errors="backslashreplace") for text in malformed([one.encode() for one in valid], b",")]
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    prices = [Decimal("1.50"), Decimal("-99999999.99"), None]
    records = [
        {"user": user, "at": noon if number < VALID else rng.choice([noon, None]),
         "type": "pv" if number < VALID else rng.choice(["pv", "", "PV", None]),
         "item": rng.choice([9001.0, 1.5, float("nan"), float("inf"), None]),
         "price": rng.choice(prices), "raw": rng.choice([b"\xff\x00\n", b'"}'])}
        for number, user in enumerate([*valid, *bad])
    ]  # fmt: skip
    schema = fastavro.parse_schema({"type": "record", "name": "event", "fields": [
        {"name": "user", "type": "string"},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "type", "type": ["null", "string"]},
        {"name": "item", "type": ["null", "double"]},
        {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}]},
        {"name": "raw", "type": "bytes"},
    ]})  # fmt: skip
    with (tmp_path / "log.avro").open("wb") as file:
        fastavro.writer(file, schema, records, codec="deflate")
    reader = {"format": "avro", "fields": "user STRING, at STRING, type STRING, item STRING, price DECIMAL(12, 2)"}
    of_fields = {
        "user_id": "user", "event_at": "to_timestamp(at)", "event_type": "type", "item_id": "item",
        "dwell_seconds": "price",
    }  # fmt: skip
    log = cleaned_log(
        source_of({"reader": reader, "columns": of_fields, **TYPES}), tmp_path / "log.avro", arrival_day=DAY
    )
    assert log.lines_in == len(records) > MALFORMED
    columns = ("line", "text", "reason", "item_id", "dwell_seconds")
    validated = sorted(log.validated.select(*columns).collect(), key=lambda row: row.line)
    assert [json.loads(row.text)["user"] for row in validated] == [record["user"] for record in records]
    assert [row.reason for row in validated[:VALID]] == [None] * VALID
    texts = {9001.0: "9001", 1.5: "1.5", float("inf"): "Infinity", None: None}
    assert [row.item_id for row in validated[:VALID]] == [texts.get(record["item"]) for record in records[:VALID]]
    assert {row.dwell_seconds for row in validated[:VALID]} <= {1.5, -99999999.99, None}
    assert log.counts["accepted"] > MALFORMED / 10
