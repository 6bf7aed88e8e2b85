"""Every view returns the expected rows of its cases. A case is a folder `tests/sql/<view>/<what it shows>/`.

It holds `<table>.jsonl` per table, with the columns that matter, and `expect.csv`, with the columns to compare.
"""

import csv
import io
import json
import shutil
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from pipeline.analyst import query
from pipeline.analyst.ddl import declared_columns, declared_tables
from pipeline.analyst.query import view_names, view_sql
from pipeline.analyst.render import render

MIN_AUDIENCE = 2  # of all cases
CASES = sorted(Path(__file__).parent.glob("*/*/expect.csv"))


# One rule of each view, and the same rule broken: a case of the view must notice it.
BROKEN_RULES = {
    "current_profiles": ("max(as_of)", "min(as_of)"),
    "interest_movers": ("INTERVAL 14 DAY", "INTERVAL 15 DAY"),
    "interest_pairs": ("WHERE evidence_count > 0", ""),
    "interest_trends": ("trend > 0", "trend >= 0"),
    "late_ledger": ("nights.as_of < late.arrival_day", "nights.as_of <= late.arrival_day"),
    "leaving_users": ("> 3 *", ">= 3 *"),
    "night_health": ("step_days.seconds / step_days.rows_of_step", "step_days.seconds"),
    "recommended_items": ("score DESC", "score"),
    "release_changes": ("releases.as_of < newest.as_of", "releases.as_of <= newest.as_of"),
    "source_health": ("INTERVAL 7 DAY", "INTERVAL 8 DAY"),
    "tag_audience": ("top_3_users >= $min_audience", "users >= $min_audience"),
    "tag_calibration": ("<= span.horizon_days", "< span.horizon_days"),
    "user_interests": ("FROM current_profiles", "FROM (SELECT *, 7 AS horizon_days FROM profiles)"),
}


@pytest.mark.parametrize("expected", CASES, ids=lambda file: "-".join(file.parts[-3:-1]))
def test_a_view_returns_what_its_case_expects(expected: Path) -> None:
    assert found_rows(expected) == expected_rows(expected)


@pytest.mark.parametrize("view", view_names())
def test_a_case_fails_when_a_rule_of_its_view_is_broken(
    view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(query.VIEWS, tmp_path, dirs_exist_ok=True)
    sql = (tmp_path / f"{view}.sql").read_text(encoding="utf-8")
    rule, broken = BROKEN_RULES[view]
    assert rule in sql, f"{rule!r} is no rule of sql/views/{view}.sql: name one in BROKEN_RULES"
    (tmp_path / f"{view}.sql").write_text(sql.replace(rule, broken), encoding="utf-8")
    monkeypatch.setattr(query, "VIEWS", tmp_path)
    cases = [case for case in CASES if case.parts[-3] == view]
    assert any(found_rows(case) != expected_rows(case) for case in cases), f"no case of {view} needs {rule!r}"


def found_rows(expected: Path) -> list[list[str]]:
    """Return the rows of a case's view, sorted, with the columns that the case compares."""

    def open_table(name: str) -> ds.Dataset:
        return ds.dataset(rows_of(expected.parent / f"{name}.jsonl", name))

    header = expected.read_text(encoding="utf-8").splitlines()[0]
    sql = f"SELECT {header} FROM {expected.parts[-3]}"
    found = render(query.answer(sql, declared_tables(), open_table, MIN_AUDIENCE), "csv")
    assert isinstance(found, str)
    return sorted(csv.reader(io.StringIO(found)))


def expected_rows(expected: Path) -> list[list[str]]:
    with expected.open(encoding="utf-8", newline="") as file:
        return sorted(csv.reader(file))


def rows_of(file: Path, table: str) -> pa.Table:
    schema = pa.schema([(column.name, column.type) for column in declared_columns(table)])
    rows: list[dict[str, Any]] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    parsers = {pa.date32(): date.fromisoformat, pa.timestamp("us", tz="UTC"): datetime.fromisoformat}
    parse = {field.name: parsers[field.type] for field in schema if field.type in parsers}
    parsed = [{key: parse[key](one) if key in parse else one for key, one in row.items()} for row in rows]
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
