"""SQL over one release: the names in it, what is scanned, and what a query cannot reach."""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyiceberg.types import StringType

from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.ddl import declared_columns, declared_tables
from pipeline.analyst.query import answer, query
from pipeline.errors import InputError

TABLES = ["profiles", "sessions"]
ROWS = pa.table({"user_id": ["u", "v"], "as_of": [date(2026, 1, 1)] * 2, "interests": [[{"tag": "jazz"}], []]})


ALL = set(ROWS.column_names)


class RecordedTable(ds.Dataset):
    """A table that records the columns that a scan returns or filters by. Arrow's dataset protocol needs no more."""

    def __init__(self, rows: pa.Table, scanned: set[str]) -> None:
        self.rows, self.scanned = rows, scanned

    @property
    def schema(self) -> pa.Schema:
        return self.rows.schema

    def scanner(self, columns: Sequence[str] | None = None, filter: ds.Expression | None = None) -> ds.Scanner:
        filtered = set(re.findall(r"\w+", str(filter)))
        self.scanned |= filtered & set(self.schema.names) | set(self.schema.names if columns is None else columns)
        return ds.dataset(self.rows).scanner(columns=columns, filter=filter)


def open_rows(name: str) -> ds.Dataset:
    return ds.dataset(ROWS)


def test_a_night_is_visible_only_after_its_publication(own_night: Any) -> None:
    sql = "SELECT count(*) AS n FROM events"
    before = query(sql, own_night.catalog)
    own_night.append("events", {"event_id": "e9", "user_id": "c"})
    assert query(sql, own_night.catalog) == before == pa.table({"n": [5]})
    own_night.publish(date(2026, 2, 1))
    assert query(sql, own_night.catalog).to_pydict() == {"n": [6]}
    assert query(sql, own_night.catalog, date(2026, 1, 31)) == before


def test_fields_of_items_that_an_earlier_release_lacks_are_null() -> None:
    then = {"user_id": "u", "as_of": date(2026, 1, 1), "top_items": [{"item_id": "pot", "title": None, "score": 0.5}]}
    kinds = {column.name: column.type for column in declared_columns("profiles")}
    former = pa.struct([field for field in kinds["top_items"].value_type if not field.name.startswith("reason")])
    schema = pa.schema(
        [*[(name, kinds[name]) for name in kinds if name != "top_items"], ("top_items", pa.list_(former))]
    )
    rows = ds.dataset(pa.Table.from_pylist([then], schema=schema))
    sql = "SELECT item_id, score, reason, reason_tag, reason_item_id FROM recommended_items"
    assert answer(sql, ["profiles"], lambda name: rows).to_pylist() == [
        {"item_id": "pot", "score": 0.5, "reason": None, "reason_tag": None, "reason_item_id": None}
    ]


@pytest.mark.parametrize("name", ["profiles", "interest.profiles", "Interest.Profiles", "current_profiles"])
def test_names_may_carry_the_namespace(night: Any, name: str) -> None:
    assert query(f"SELECT cohort FROM {name}", night.catalog).to_pydict() == {"cohort": ["1"]}


def test_a_view_reads_its_tables_and_views(night: Any) -> None:
    sql = "SELECT tag, audience, expected_user_count FROM interest.tag_audience ORDER BY tag"
    found = query(sql, night.catalog, min_audience=1)
    assert found.to_pydict() == {"tag": ["chess", "jazz"], "audience": ["1", "1"], "expected_user_count": [0.25, 0.5]}


def test_a_view_shows_no_figure_of_fewer_users_than_the_least_audience(night: Any) -> None:
    found = query("SELECT DISTINCT audience, user_count FROM tag_audience", night.catalog)
    assert found.to_pylist() == [{"audience": "fewer than 10", "user_count": None}]
    assert query("SELECT count(*) AS n FROM user_interests", night.catalog).to_pylist() == [{"n": 2}]


def test_a_release_of_before_the_column_horizon_days_has_a_horizon_of_a_week() -> None:
    rows = pa.Table.from_pylist([{"user_id": "u", "as_of": date(2026, 1, 1), "interests": []}])
    schema = pa.schema([(one.name, one.type) for one in declared_columns("profiles") if one.name != "horizon_days"])
    old = pa.table({name: rows[name] if name in rows.column_names else [None] for name in schema.names}, schema=schema)
    found = answer("SELECT user_id, horizon_days FROM current_profiles", ["profiles"], lambda name: ds.dataset(old))
    assert found.to_pylist() == [{"user_id": "u", "horizon_days": 7}]


def test_times_are_utc(night: Any) -> None:
    found = query(
        "SELECT CAST(started_at AS VARCHAR) AS text, CAST(started_at AS DATE) AS day FROM sessions", night.catalog
    )
    assert found.to_pylist() == [{"text": "2026-01-31 10:00:00+00", "day": date(2026, 1, 31)}]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT user_id FROM profiles", {"profiles": {"user_id"}}),
        ("SELECT count(*) FROM profiles", {"profiles": {"user_id"}}),
        ("SELECT * FROM profiles", {"profiles": ALL}),
        ("SELECT p FROM profiles AS p", {"profiles": ALL}),
        ("SELECT #2 FROM profiles", {"profiles": {"as_of"}}),
        ("SELECT a FROM profiles AS p (a)", {"profiles": {"user_id"}}),
        ("SELECT sessions.user_id FROM profiles NATURAL JOIN sessions", {"profiles": ALL, "sessions": ALL}),
        ("SELECT 1 AS events FROM profiles JOIN sessions USING (user_id)",
         {"profiles": {"user_id"}, "sessions": {"user_id"}}),
        ("SELECT tag FROM (SELECT unnest(interests, recursive := true) FROM profiles)", {"profiles": {"interests"}}),
        ("SELECT 'sessions' AS events FROM profiles /* sessions */ WHERE as_of IS NULL AND user_id = 'é'",
         {"profiles": {"user_id", "as_of"}}),
        ("SELECT user_id AS sessions FROM profiles", {"profiles": {"user_id"}, "sessions": set()}),
        ("PIVOT profiles ON user_id USING count(*)", {"profiles": ALL}),
        ("WITH own AS (SELECT user_id FROM sessions) SELECT count(*) FROM own", {"sessions": {"user_id"}}),
        ('SELECT user_id FROM "Profiles"', {"profiles": {"user_id"}}),
        ("SELECT 1", {}),
    ],
)  # fmt: skip
def test_only_the_needed_columns_of_the_named_tables_are_scanned(sql: str, expected: dict[str, set[str]]) -> None:
    scanned: dict[str, set[str]] = {}
    answer(sql, TABLES, lambda name: RecordedTable(ROWS, scanned.setdefault(name, set())))
    assert scanned == expected


def test_the_late_ledger_scans_four_narrow_columns_of_events() -> None:
    scanned: dict[str, set[str]] = {}

    def open_table(name: str) -> ds.Dataset:
        rows = pa.schema([(column.name, column.type) for column in declared_columns(name)]).empty_table()
        return RecordedTable(rows, scanned.setdefault(name, set()))

    assert answer("SELECT * FROM late_ledger", declared_tables(), open_table).num_rows == 0
    assert scanned == {"events": {"arrival_day", "lateness_days", "is_late", "user_id"}, "runs": {"step", "day"}}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1 FROM nowhere", "Table with name nowhere does not exist! "),
        ("SELECT nothing FROM profiles", 'Referenced column "nothing" not found in FROM clause! '),
        ("SELECT CAST('x' AS INT) FROM profiles", "Could not convert string 'x' to INT32"),
    ],
)
def test_wrong_sql_lists_the_tables_and_views(sql: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        answer(sql, TABLES, open_rows)
    first, *rest = str(caught.value).splitlines()
    assert message in first
    assert "(tables: profiles, sessions; views: current_profiles, interest_movers, interest_pairs, " in first
    if "nothing" in sql:
        assert rest == ["  profiles has user_id, as_of, interests, horizon_days"]


@pytest.mark.parametrize("sql", ["", "SELECT 1; SELECT 2", "CREATE TABLE t AS SELECT 1", "SET TimeZone = 'Asia/Tokyo'"])
def test_only_one_select_is_answered(sql: str) -> None:
    with pytest.raises(InputError, match="expected one SELECT, found "):
        answer(sql, TABLES, open_rows)


def test_a_query_reads_no_files_and_no_variables(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    local_variable = ROWS  # noqa: F841  DuckDB would find it by its name
    for source in (
        f"'{secret}'",
        f"read_csv('{secret}')",
        f"read_text('{secret}')",
        f"glob('{tmp_path}/*')",
        "local_variable",
    ):
        with pytest.raises(InputError, match=r"disabled by configuration|does not exist"):
            answer(f"SELECT * FROM {source}", TABLES, open_rows)


def test_analysts_do_not_see_the_texts_of_rejected_lines(own_night: Any) -> None:
    """The table of an older home has them in a column; in a new one they are in the landing zone alone."""
    everything = "SELECT text, reason FROM rejects"
    assert query(everything, own_night.catalog).to_pylist() == [{"text": None, "reason": "unparsable"}] * 2
    older = own_night.catalog.load_table("interest.rejects")
    with older.update_schema() as update:
        update.add_column("text", StringType())
    rows = older.scan().to_arrow()
    older.append(rows.set_column(rows.schema.get_field_index("text"), "text", pa.array(["user 17"] * len(rows))))
    own_night.publish(date(2026, 2, 1))
    assert query(everything, own_night.catalog).to_pylist() == [{"text": None, "reason": "unparsable"}] * 4
    with connect_to_catalog(own_night.catalog) as connection:
        assert connection.sql("SELECT DISTINCT text FROM interest.rejects").fetchall() == [(None,)]
