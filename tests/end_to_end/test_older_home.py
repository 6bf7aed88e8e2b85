"""A home made by version 0.1.0, whose pseudonyms have no id space: it is read as before, and no night writes to it.

`home_0_1_0/` has the landing zone and the warehouse of such a home, its catalog rows, and the fingerprints of its
tables, all made by version 0.1.0 with one key.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pipeline.local import postgres

pytestmark = pytest.mark.end_to_end

KEPT = Path(__file__).parent / "home_0_1_0"
HOME = Path("/tmp/throughline-home-0.1.0")  # Iceberg's metadata has absolute paths
EXPECTED = json.loads((KEPT / "expected.json").read_text(encoding="utf-8"))
LAST = EXPECTED["days"][-1]


@pytest.fixture(scope="module")
def older_home(unpacked_home: Any) -> Iterator[Any]:
    """An installation of this version on the kept home."""
    with unpacked_home(HOME, KEPT / "home.tar.gz") as made:
        with psycopg.connect(postgres.url(made.settings())) as connection:
            for name, content in json.loads((KEPT / "catalog.json").read_text(encoding="utf-8")).items():
                if content["rows"]:
                    fill(connection, name, content)
        yield made


def fill(connection: psycopg.Connection, name: str, content: dict[str, Any]) -> None:
    """Create a table of the catalog, unless it exists, and replace its rows."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind, *_ in content["ddl"]
    )
    table = sql.Identifier(name)
    connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table, columns))
    connection.execute(sql.SQL("DELETE FROM {}").format(table))
    insert = sql.SQL("INSERT INTO {} VALUES ({})").format(
        table, sql.SQL(", ").join([sql.Placeholder()] * len(content["columns"]))
    )
    for row in content["rows"]:
        connection.execute(insert, row)


def test_its_release_is_read(older_home: Any) -> None:
    assert {name: older_home.do("fingerprint", name).strip() for name in EXPECTED["before"]} == EXPECTED["before"]
    [row] = older_home.ask("SELECT max(as_of) AS newest, count(*) AS n FROM profiles")
    assert (row["newest"], row["n"] > 0) == (EXPECTED["days"][-2], True)
    [listed] = older_home.ask("SELECT count(*) AS n, count(reason) AS with_reason FROM recommended_items")
    assert listed["n"] > 0 and listed["with_reason"] == 0
    assert older_home.ask("SELECT DISTINCT horizon_days FROM user_interests") == [{"horizon_days": 7}]


def test_a_night_is_refused_in_one_clear_line_and_changes_nothing(older_home: Any) -> None:
    done = older_home.call("run", "--day", LAST)
    assert done.returncode == 1
    assert "this home was made before ids had id spaces" in done.stderr
    assert "land the logs in a new THROUGHLINE_HOME" in done.stderr
    assert older_home.fingerprints() == EXPECTED["before"]
