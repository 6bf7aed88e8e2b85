"""SQL over one release: what may be named, what is read, and what a query cannot reach."""

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.analyst.query import answer, query
from pipeline.errors import InputError
from tests.ddl import declared_columns, declared_tables

TABLES = ["profiles", "sessions"]
ROWS = pa.table({"user_id": ["u", "v"], "as_of": [date(2026, 1, 1)] * 2, "interests": [[{"tag": "jazz"}], []]})


class Notes:
    """A reader that writes down what it was asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, Collection[str] | None] = {}

    def __call__(self, name: str, wanted: Collection[str] | None) -> pa.Table:
        self.asked[name] = wanted
        return ROWS


def test_later_nights_do_not_show_before_they_are_published(own_night: Any) -> None:
    sql = "SELECT count(*) AS n FROM events"
    before = query(sql, own_night.catalog)
    own_night.append("events", {"event_id": "e9", "user_id": "c"})
    assert query(sql, own_night.catalog) == before == pa.table({"n": [5]})
    own_night.publish(date(2026, 2, 1))
    assert query(sql, own_night.catalog).to_pydict() == {"n": [6]}
    assert query(sql, own_night.catalog, date(2026, 1, 31)) == before


@pytest.mark.parametrize("name", ["profiles", "interest.profiles", "Interest.Profiles", "current_profiles"])
def test_names_may_carry_the_namespace(night: Any, name: str) -> None:
    assert query(f"SELECT cohort FROM {name}", night.catalog).to_pydict() == {"cohort": ["1"]}


def test_views_find_what_they_need(night: Any) -> None:
    found = query("SELECT tag, expected_user_count FROM interest.tag_audience ORDER BY tag", night.catalog)
    assert found.to_pydict() == {"tag": ["chess", "jazz"], "expected_user_count": [0.25, 0.5]}


def test_times_are_utc(night: Any) -> None:
    found = query(
        "SELECT CAST(started_at AS VARCHAR) AS told, CAST(started_at AS DATE) AS day FROM sessions", night.catalog
    )
    assert found.to_pylist() == [{"told": "2026-01-31 10:00:00+00", "day": date(2026, 1, 31)}]


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("SELECT user_id FROM profiles", {"profiles": {"user_id"}}),
        ("SELECT count(*) FROM profiles", {"profiles": set()}),
        ("SELECT * FROM profiles", {"profiles": None}),
        ("SELECT p FROM profiles AS p", {"profiles": None}),
        ("SELECT #2 FROM profiles", {"profiles": None}),
        ("SELECT a FROM profiles AS p (a)", {"profiles": None}),
        ("SELECT sessions.user_id FROM profiles NATURAL JOIN sessions", {"profiles": None, "sessions": None}),
        ("SELECT 1 AS events FROM profiles JOIN sessions USING (user_id)",
         {"profiles": {"user_id"}, "sessions": {"user_id"}}),
        ("SELECT tag FROM (SELECT unnest(interests, recursive := true) FROM profiles)", {"profiles": {"interests"}}),
        ("SELECT 'sessions' AS sessions FROM profiles WHERE as_of IS NULL", {"profiles": {"as_of"}}),
        ("PIVOT profiles ON user_id USING count(*)", {"profiles": None}),
        ("WITH own AS (SELECT user_id FROM sessions) SELECT count(*) FROM own", {"sessions": {"user_id"}}),
        ("SELECT 1", {}),
    ],
)  # fmt: skip
def test_only_what_the_sql_names_is_read(sql: str, asked: dict[str, set[str] | None]) -> None:
    notes = Notes()
    answer(sql, TABLES, notes)
    known = {
        name: None if wanted is None else set(wanted) & set(ROWS.column_names) for name, wanted in notes.asked.items()
    }
    assert known == asked


def test_the_late_ledger_reads_four_narrow_columns_of_events() -> None:
    asked: dict[str, set[str]] = {}

    def read(name: str, wanted: Collection[str] | None) -> pa.Table:
        columns = declared_columns(name)
        asked[name] = {column.name for column in columns if wanted is None or column.name in wanted}
        return pa.schema([(column.name, column.type) for column in columns]).empty_table()

    assert answer("SELECT * FROM late_ledger", declared_tables(), read).num_rows == 0
    assert asked == {"events": {"arrival_day", "lateness_days", "is_late", "user_id"}, "runs": {"step", "day"}}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1 FROM nowhere", "Table with name nowhere does not exist! "),
        ("SELECT nothing FROM profiles", 'Referenced column "nothing" not found in FROM clause! '),
        ("SELECT CAST('x' AS INT) FROM profiles", "Could not convert string 'x' to INT32"),
    ],
)
def test_wrong_sql_is_one_line_with_the_names_there_are(sql: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        answer(sql, TABLES, Notes())
    first, *rest = str(told.value).splitlines()
    assert message in first
    assert "(tables: profiles, sessions; views: current_profiles, interest_trends, late_ledger, " in first
    if "nothing" in sql:
        assert rest == ["  profiles has user_id, as_of, interests"]


@pytest.mark.parametrize("sql", ["", "SELECT 1; SELECT 2", "CREATE TABLE t AS SELECT 1", "SET TimeZone = 'Asia/Tokyo'"])
def test_only_one_select_is_answered(sql: str) -> None:
    with pytest.raises(InputError, match="expected one SELECT, found "):
        answer(sql, TABLES, Notes())


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
            answer(f"SELECT * FROM {source}", TABLES, Notes())
