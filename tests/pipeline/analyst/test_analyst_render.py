"""Query results as tables, CSV, JSON and Parquet."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.analyst.render import render
from pipeline.errors import UsageError

ANSWER = pa.table(
    {
        "seen_at": pa.array([datetime(2026, 1, 31, 23, 59, 1, 500000, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
        "as_of": [date(2026, 1, 31), None],
        "tags": [["jazz", "[red]", "chess", "go"], []],
        "best": [{"tag": "jazz", "affinity": 0.123456}, None],
        "rows_out": pa.array([[("accepted", 1)], None], pa.map_(pa.string(), pa.int64())),
        "total": [Decimal("3"), None],
        "share": [float("nan"), 0.5],
        "is_new": [True, None],
        "title": ['a, "b"', None],
    }
)


def test_json_is_a_list_of_records_with_times_in_utc() -> None:
    text = render(ANSWER, "json")
    assert isinstance(text, str)
    first, second = json.loads(text)
    assert first == {
        "seen_at": "2026-01-31T23:59:01.500000Z", "as_of": "2026-01-31", "tags": ["jazz", "[red]", "chess", "go"],
        "best": {"tag": "jazz", "affinity": 0.123456}, "rows_out": {"accepted": 1}, "total": 3, "share": None,
        "is_new": True, "title": 'a, "b"',
    }  # fmt: skip
    assert second["best"] is None and second["tags"] == []


def test_csv_has_a_header_and_json_in_nested_cells() -> None:
    text = render(ANSWER, "csv")
    assert isinstance(text, str)
    first, second = csv.DictReader(io.StringIO(text))
    assert first["seen_at"] == "2026-01-31T23:59:01.500000Z"
    assert json.loads(first["tags"]) == ["jazz", "[red]", "chess", "go"]
    assert (first["is_new"], first["title"], second["title"], second["best"]) == ("true", 'a, "b"', "", "")


def test_parquet_is_read_back_equal() -> None:
    file = render(ANSWER, "parquet")
    assert isinstance(file, bytes)
    equal_to_itself = ANSWER.drop_columns(["share"])  # NaN is not
    assert pq.read_table(io.BytesIO(file)).drop_columns(["share"]).equals(equal_to_itself)


def test_a_table_shortens_lists_and_texts(shown: Any) -> None:
    text = shown(render(ANSWER, "table"))
    assert "[jazz, [red], chess, … 4 in all]" in text
    assert "tag=jazz affinity=0.1235" in text
    assert "2 rows" in text


def test_a_long_table_says_how_many_rows_there_are(shown: Any) -> None:
    text = shown(render(pa.table({"n": range(1000, 1101)}), "table"))
    assert "the first 100 of 101 rows; for all of them: --format csv, json or parquet" in text
    assert "1099" in text and "1100" not in text


def test_two_columns_of_the_same_name_are_both_rendered() -> None:
    assert render(pa.Table.from_arrays([[1], [2]], names=["n", "n"]), "csv") == "n,n\n1,2\n"


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown format 'xml': expected one of table, csv, json, parquet"):
        render(ANSWER, "xml")
