"""Answers an analyst's SQL from one release, by DuckDB in memory."""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from pipeline.analyst.release import NAMESPACE, columns_of, newest_release, read_table
from pipeline.analyst.render import render
from pipeline.analyst.sql_names import Named, names_in
from pipeline.errors import InputError
from pipeline.settings import ROOT

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

__all__ = ["answer", "query", "render", "view_names"]

VIEWS = ROOT / "sql" / "views"
READ_ONLY = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)  # MULTI is PIVOT
# Gives a table's rows; the second argument holds the wanted columns in lower case, None means all.
Reader = Callable[[str, Collection[str] | None], pa.Table]


def query(sql: str, catalog: "Catalog", as_of: date | None = None) -> pa.Table:
    """Answer one SELECT from the newest release, or from that of `as_of`.

    Raises InputError if the SQL is wrong or names a table or column that is not there.
    """
    release = newest_release(catalog, as_of)

    def read(name: str, wanted: Collection[str] | None) -> pa.Table:
        there = columns_of(catalog, release, name)
        columns = [column for column in there if wanted is None or column.lower() in wanted]
        return read_table(catalog, release, name, columns or there[:1])  # counting rows takes a column, too

    return answer(sql, release.tables, read)


def answer(sql: str, tables: Sequence[str], read: Reader) -> pa.Table:
    """Answer one SELECT over `tables`, of which only those are read that it names, by itself or through a view.

    Names may carry the prefix `interest.`. Times are UTC. The SQL reaches neither files nor the network.
    Raises InputError as `query` does.
    """
    with duckdb.connect() as connection:
        try:
            _require_one_select(connection, sql)
            _prepare(connection)
            _load(connection, _wanted(sql), tables, read)
            _lock(connection)
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise InputError(_told(error, tables, connection)) from None


def view_names() -> list[str]:
    return sorted(file.stem for file in VIEWS.glob("*.sql"))


def view_sql(view: str) -> str:
    """Return the SELECT of a view; its first line is a comment with the question that it answers."""
    return (VIEWS / f"{view}.sql").read_text(encoding="utf-8").strip().rstrip(";")


def _require_one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in READ_ONLY:
        found = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise InputError(
            f"expected one SELECT, found {found}: the warehouse is read-only here; ask one question at a time"
        )


def _wanted(sql: str) -> dict[str, Named]:
    """Return what the statement and each view that it needs name: the statement under "", views before their users."""
    found: dict[str, Named] = {}
    views = set(view_names())

    def visit(name: str, body: str, above: frozenset[str]) -> None:
        named = names_in(body)
        for view in sorted((named.tables & views) - above - set(found)):
            visit(view, view_sql(view), above | {view})
        found[name] = named

    visit("", sql, frozenset())
    return found


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")  # else a name could mean a variable of this program
    connection.execute(f"CREATE SCHEMA {NAMESPACE}")
    connection.execute(f"SET search_path = '{NAMESPACE},main'")


def _load(connection: duckdb.DuckDBPyConnection, wanted: dict[str, Named], tables: Sequence[str], read: Reader) -> None:
    for table in tables:
        needs = [named.columns for named in wanted.values() if table in named.tables]
        if needs:
            columns = None if None in needs else frozenset().union(*(need for need in needs if need is not None))
            connection.register(f"loaded_{table}", read(table, columns))
            connection.execute(f'CREATE VIEW {NAMESPACE}."{table}" AS SELECT * FROM "loaded_{table}"')
    for view in wanted:
        if view:
            connection.execute(f'CREATE VIEW {NAMESPACE}."{view}" AS {view_sql(view)}')


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _told(error: duckdb.Error, tables: Sequence[str], connection: duckdb.DuckDBPyConnection) -> str:
    first_line = str(error).splitlines()[0]
    lines = [f"{first_line} (tables: {', '.join(tables)}; views: {', '.join(view_names())})"]
    if isinstance(error, duckdb.BinderException):
        columns = connection.execute(
            "SELECT table_name, string_agg(column_name, ', ' ORDER BY column_index) FROM duckdb_columns() "
            "WHERE schema_name = ? GROUP BY table_name ORDER BY table_name",
            [NAMESPACE],
        )
        lines += [f"  {table} has {names}" for table, names in columns.fetchall()]
    return "\n".join(lines)
