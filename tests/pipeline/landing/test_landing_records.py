"""What lands as a line: CSV records, JSON documents, lines under W3C headers, rows of Parquet and Avro."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.landing import text
from pipeline.landing.formats import read_batches
from pipeline.sources.schema import Reader

JSON = Reader(format="jsonl", fields="user STRING")
W3C = Reader(format="w3c", columns=["date", "time"])
RECORDS = Reader(format="csv", columns=["user", "title"], multiline=True)
SPARK = Reader(format="csv", columns=["user", "title"], multiline=True, escape="\\")
WITH_COMMENTS = Reader(format="csv", columns=["user", "title"], header=True, comment="#")

Read = Callable[[bytes, Reader], list[tuple[int, str, str | None]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return the function that reads bytes as number, text and header of each line."""

    def write_and_read(content: bytes, reader: Reader) -> list[tuple[int, str, str | None]]:
        (tmp_path / "log").write_bytes(content)
        table = pa.Table.from_batches(list(read_batches(tmp_path / "log", "log", reader)))
        return list(zip(*(table[name].to_pylist() for name in ("line", "text", "header")), strict=True))

    return write_and_read


@pytest.mark.parametrize("block", [1, 7, 4 << 20])
@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b'[{"a": 1.10}, {"b": [2]}]', ['{"a": 1.10}', '{"b": [2]}']),
        (b'[\n  {\n    "a": 1e400\n  },\n  {"b": "x\\n]"}\n]\n', ['{"a": 1e400}', '{"b": "x\\n]"}']),
        (b'{\n  "a": 12345678901234567890\n}\n{\n  "b": {}\n}\n', ['{"a": 12345678901234567890}', '{"b": {}}']),
        (b'\xef\xbb\xbf[{"a": "\xc3\xa9"}]', ['{"a": "é"}']),
        (b'[{"a": 1}]\n[{"b": 2}]\n', ['{"a": 1}', '{"b": 2}']),
        (b"[]", []),
        (b'[{"a": 1}, 12, "x"]', ['{"a": 1}', "12", '"x"']),
        (b'{"a": 1}\n[2]\n', ['{"a": 1}', "[2]"]),
    ],
    ids=["list", "list over lines", "documents", "BOM", "two lists", "empty list", "other elements", "JSON lines"],
)  # fmt: skip
def test_elements_of_json_are_lines_with_their_digits(
    content: bytes, texts: list[str], block: int, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", block)
    assert read(content, JSON) == [(number, line, None) for number, line in enumerate(texts, 1)] if texts else True


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"a": 1}, {"b": ', "element 2 is no JSON: .*near '{\"b\": '"),
        (b'[{"a": 1}, {"b": 2}\n', "element 3 is no JSON: its list is not closed"),
        (b'{\n "a": 1,\n}\n', "element 1 is no JSON"),
    ],
)
def test_a_malformed_list_is_refused_as_a_whole(content: bytes, message: str, read: Read) -> None:
    with pytest.raises(InputError, match=message):
        read(content, JSON)


def test_a_record_has_the_number_of_its_first_line(read: Read) -> None:
    content = b'u,"a\nb, ""c\n"\nv,24" x\nw,"d"\n'
    assert read(content, RECORDS) == [(1, 'u,"a\nb, ""c\n"', None), (4, 'v,24" x', None), (5, 'w,"d"', None)]
    assert read(b'u,"a \\"\nb"\nv,"C:\\\\"\nw,x\n', SPARK) == [
        (1, 'u,"a \\"\nb"', None), (3, 'v,"C:\\\\"', None), (4, "w,x", None),
    ]  # fmt: skip


def test_a_quote_that_is_never_closed_takes_its_own_line_only(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(b'u,"a\nv,b\nw,c\n', RECORDS) == [(1, 'u,"a', None), (2, "v,b", None), (3, "w,c", None)]
    monkeypatch.setattr(text, "MAX_RECORD_LINES", 2)
    assert read(b'u,"a\nv,b\nw,c\nx,"d\ne"\n', RECORDS) == [
        (1, 'u,"a', None), (2, "v,b", None), (3, "w,c", None), (4, 'x,"d\ne"', None),
    ]  # fmt: skip


def test_the_header_is_the_first_line_that_is_no_comment(read: Read) -> None:
    assert read(b"# of today\n# more\nuser,title\nu,x\n# end\n", WITH_COMMENTS) == [
        (1, "# of today", None), (2, "# more", None), (4, "u,x", "user,title"), (5, "# end", "user,title"),
    ]  # fmt: skip


def test_a_fields_line_is_the_header_up_to_the_next_one(read: Read) -> None:
    first, second = "#Fields: date time", "#Fields: time date"
    lines = ["#Version: 1.0", "early", first, "a b", "#Date: x", second, "c d", second]
    headers = [None, None, first, first, first, second, second, second]
    assert read("\n".join(lines).encode(), W3C) == list(zip(range(1, 9), lines, headers, strict=True))


ROW: dict[str, Any] = {
    "id": 9001.0, "share": 0.25, "far": 1e300, "none": None, "price": Decimal("12.50"),
    "at": datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC), "raw": b"caf\xc3\xa9\xff", "deep": {"list": [7.0, 1.5]},
}  # fmt: skip
LINE = (
    '{"id": 9001, "share": 0.25, "far": 1e+300, "none": null, "price": 12.50, '
    '"at": "2026-03-01 10:00:00.123456+00:00", "raw": "café\\\\xff", "deep": {"list": [7, 1.5]}}'
)


def test_rows_of_parquet_keep_what_they_are(read: Read) -> None:
    deep = pa.struct([("list", pa.list_(pa.float64()))])
    schema = pa.schema([("id", pa.float64()), ("share", pa.float64()), ("far", pa.float64()), ("none", pa.int64()),
                        ("price", pa.decimal128(10, 2)), ("at", pa.timestamp("ns", "UTC")), ("raw", pa.binary()),
                        ("deep", deep)])  # fmt: skip
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([ROW], schema=schema), content)
    assert read(content.getvalue(), Reader(format="parquet", fields="id STRING")) == [(1, LINE, None)]


def test_records_of_avro_keep_what_they_are(read: Read) -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
    deep = {"type": "record", "name": "d", "fields": [{"name": "list", "type": {"type": "array", "items": "double"}}]}
    types = {"id": "double", "share": "double", "far": "double", "none": ["null", "long"], "price": decimal,
             "at": {"type": "long", "logicalType": "timestamp-micros"}, "raw": "bytes", "deep": deep}  # fmt: skip
    schema = {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in types.items()]}
    content = io.BytesIO()
    fastavro.writer(content, fastavro.parse_schema(schema), [ROW] * 3)
    reader = Reader(format="avro", fields="id STRING")
    assert read(content.getvalue(), reader) == [(number, LINE, None) for number in (1, 2, 3)]
    assert json.loads(LINE)["id"] == 9001
    with pytest.raises(InputError, match=r"cannot be read as avro: .*Check that it is complete"):
        read(content.getvalue()[:-10], reader)
