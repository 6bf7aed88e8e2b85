"""The connection of analysts: what it shows, what it reads, and what its SQL cannot do."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

import throughline
from pipeline.analyst import query as module
from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.query import query, view_names
from pipeline.analyst.release import newest_release, open_table
from pipeline.analyst.released_files import DataFile, ReleasedTable
from pipeline.errors import InputError


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the tables whose files were looked for, in the order in which that happened."""
    names: list[str] = []

    def recorded(catalog: Any, release: Any, name: str, hidden: Any) -> ReleasedTable:
        table = open_table(catalog, release, name, hidden)

        def find_files() -> Sequence[DataFile]:
            names.append(name)
            return table.find_files()

        return ReleasedTable(table.schema, find_files)

    monkeypatch.setattr(module, "open_table", recorded)
    return names


def test_a_table_that_no_query_names_is_never_opened(night: Any, opened: list[str]) -> None:
    with connect_to_catalog(night.catalog) as connection:
        assert opened == []
        assert connection.sql("SELECT count(*) FROM events").fetchall() == [(5,)]
        assert opened == ["events"]
        assert connection.sql("SELECT tag FROM tag_audience ORDER BY tag").fetchall() == [("chess",), ("jazz",)]
        assert connection.sql("SELECT count(*) FROM interest.events").fetchall() == [(5,)]
        assert opened == ["events", "profiles"]


def test_it_shows_the_tables_and_the_views_whose_tables_the_release_has(night: Any) -> None:
    with connect_to_catalog(night.catalog) as connection:
        shown = connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'interest'").fetchall()
        assert {name for (name,) in shown} == {*newest_release(night.catalog, None).tables, *view_names()}


def test_a_view_over_a_table_that_the_release_lacks_is_left_out(three_nights: Any) -> None:
    with connect_to_catalog(three_nights.catalog) as connection:
        shown = connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'interest'").fetchall()
        assert sorted(name for (name,) in shown) == ["items", "releases"]


@pytest.mark.parametrize(("as_of", "items"), [(None, 4), (date(2026, 1, 1), 1), (date(2026, 1, 3), 4)])
def test_as_of_is_the_last_release_of_that_day_or_before(three_nights: Any, as_of: date | None, items: int) -> None:
    with connect_to_catalog(three_nights.catalog, as_of) as connection:
        assert connection.sql("SELECT count(*) FROM items").fetchall() == [(items,)]


def test_a_publication_does_not_change_an_open_connection(own_night: Any) -> None:
    with connect_to_catalog(own_night.catalog) as connection:
        own_night.append("events", {"event_id": "e9", "user_id": "c"})
        own_night.publish(date(2026, 2, 1))
        assert connection.sql("SELECT count(*) FROM events").fetchall() == [(5,)]


def test_it_answers_as_the_command_does(night: Any) -> None:
    sql = "SELECT user_id, tag, affinity FROM user_interests WHERE affinity > 0.3"
    with connect_to_catalog(night.catalog) as connection:
        assert connection.sql(sql).to_arrow_table() == query(sql, night.catalog)


def test_a_cursor_of_it_sees_the_same(night: Any) -> None:
    with connect_to_catalog(night.catalog) as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM interest.user_interests").fetchall() == [(2,)]


def test_an_idle_reader_holds_no_connection_to_the_database_of_the_catalog(night: Any) -> None:
    with connect_to_catalog(night.catalog) as connection:
        assert night.catalog.engine.pool.checkedin() == 0
        assert connection.execute("SELECT count(*) FROM user_interests").fetchall() == [(2,)]
        assert query("SELECT count(*) FROM user_interests", night.catalog).num_rows == 1
        assert night.catalog.engine.pool.checkedin() == 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM interest.profiles",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/throughline-leak.csv'",
        "ATTACH '/tmp/throughline-leak.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "COPY (SELECT 1) TO 'released://events/0.parquet'",
        "COPY (SELECT 1) TO 'released://events/0.parquet' (USE_TMP_FILE false)",
        "SELECT * FROM 'released://events/../profiles/0.parquet'",
        "SELECT * FROM 'released://events/1.parquet'",
    ],
)
def test_sql_changes_no_table_and_reaches_no_file(night: Any, sql: str) -> None:
    with connect_to_catalog(night.catalog) as connection, pytest.raises(duckdb.Error):
        connection.execute(sql)
    with connect_to_catalog(night.catalog) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchall() == [(5,)]


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tables in .*: expected the home of an installation"):
        throughline.connect(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_opens_a_home_by_its_settings(night: Any, tmp_path: Path) -> None:
    """In a process of its own, without any variable of the environment: the catalog is in settings.toml of the home."""
    uri, warehouse = (night.catalog.properties[key] for key in ("uri", "warehouse"))
    catalog = {"type": "jdbc", "uri": f"jdbc:{uri.replace('sqlite:///', 'sqlite:')}", "warehouse": warehouse}
    lines = [f'{key} = "{value}"' for key, value in catalog.items()]
    (tmp_path / "settings.toml").write_text("\n".join(["min_audience = 1", "[catalog]", *lines]))
    sql = "SELECT tag, audience FROM tag_audience ORDER BY tag"
    code = f"import throughline; print(throughline.connect({str(tmp_path)!r}, '2026-01-31').sql({sql!r}).fetchall())"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("THROUGHLINE_", "PYICEBERG_"))}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert found.stdout == "[('chess', '1'), ('jazz', '1')]\n", found.stderr
