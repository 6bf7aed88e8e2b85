"""Every view returns the expected rows of its cases. A case is a folder `tests/sql/<view>/<what it shows>/`.

It holds `<table>.jsonl` per table, with the columns that matter, and `expect.csv`, with the columns to compare.
"""

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from pipeline.analyst.query import answer, view_names, view_sql
from pipeline.analyst.render import render
from tests.ddl import declared_columns, declared_tables

CASES = sorted(Path(__file__).parent.glob("*/*/expect.csv"))


@pytest.mark.parametrize("expected", CASES, ids=lambda file: "-".join(file.parts[-3:-1]))
def test_a_view_returns_what_its_case_expects(expected: Path) -> None:
    def open_table(name: str) -> ds.Dataset:
        return ds.dataset(rows_of(expected.parent / f"{name}.jsonl", name))

    with expected.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    view = expected.parts[-3]
    found = render(answer(f"SELECT {', '.join(header)} FROM {view}", declared_tables(), open_table), "csv")
    assert isinstance(found, str)
    assert sorted(csv.reader(io.StringIO(found))) == sorted([header, *rows])


def rows_of(file: Path, table: str) -> pa.Table:
    schema = pa.schema([(column.name, column.type) for column in declared_columns(table)])
    rows: list[dict[str, Any]] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    days = {field.name for field in schema if pa.types.is_date(field.type)}
    parsed = [{key: date.fromisoformat(one) if key in days else one for key, one in row.items()} for row in rows]
    return pa.Table.from_pylist(parsed, schema=schema)


@pytest.mark.parametrize("view", view_names())
def test_every_view_has_a_case(view: str) -> None:
    assert view in {case.parts[-3] for case in CASES}, f"add tests/sql/{view}/<what it shows>/expect.csv and its tables"


def test_every_case_is_of_an_existing_view() -> None:
    assert {case.parts[-3] for case in CASES} <= set(view_names())


@pytest.mark.parametrize("view", view_names())
def test_the_first_line_of_a_view_is_its_question(view: str) -> None:
    first = view_sql(view).splitlines()[0]
    assert first.startswith("-- ") and first.endswith("?"), f"sql/views/{view}.sql begins with {first!r}"


@pytest.mark.parametrize("table", declared_tables())
def test_every_column_of_a_table_has_a_comment(table: str) -> None:
    columns = declared_columns(table)
    assert columns, f"no columns found in sql/ddl/{table}.sql"
    assert [column.name for column in columns if not column.comment.strip()] == []
