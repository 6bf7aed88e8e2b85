"""Answers an analyst's SQL from one release, with DuckDB in memory."""

import string
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from pipeline.analyst.ddl import declared_columns
from pipeline.analyst.release import NAMESPACE, Release, newest_release, open_table
from pipeline.analyst.released_files import PROTOCOL, ReleasedFiles, ReleasedTable
from pipeline.errors import InputError
from pipeline.settings import HORIZON_DAYS, MIN_AUDIENCE, ROOT

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset
    from pyiceberg.catalog import Catalog

VIEWS = ROOT / "sql" / "views"
TABLES = ROOT / "sql" / "ddl"
# Columns that views read and that releases of earlier versions lack, with their values there.
ADDED_COLUMNS = {"profiles": {"horizon_days": HORIZON_DAYS}}
# Columns of structs, some of whose fields views read and releases of earlier versions lack: there they are null.
GROWN_COLUMNS = {"profiles": ("top_items",)}
# Columns that are null for analysts, since releases of earlier versions have raw ids there.
HIDDEN_COLUMNS = {"rejects": ("text",)}
OpenTable = Callable[[str], "Dataset | ReleasedTable"]
READ_ONLY = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)  # MULTI is PIVOT


def query(sql: str, catalog: "Catalog", as_of: date | None = None, min_audience: int = MIN_AUDIENCE) -> pa.Table:
    """Answer one SELECT from the newest release, or from that of `as_of`.

    min_audience: the views show no figure of fewer users.

    Raises InputError if the SQL is wrong or names a table or column that does not exist.
    """
    with closing(catalog):  # it connects again when it must
        release = newest_release(catalog, as_of)
        return answer(sql, release.tables, tables_of(catalog, release), min_audience)


def tables_of(catalog: "Catalog", release: Release) -> OpenTable:
    """Return the function that opens a table of a release, without the columns that analysts must not see."""
    return lambda name: open_table(catalog, release, name, HIDDEN_COLUMNS.get(name, ()))


def answer(sql: str, tables: Sequence[str], open_one: OpenTable, min_audience: int = MIN_AUDIENCE) -> pa.Table:
    """Answer one SELECT over `tables` and the views of `sql/views`.

    A table whose name does not occur in the SQL, or in a view that occurs in it, is not opened. DuckDB reads only the
    columns and rows that the query needs.

    Raises InputError as `query` does.
    """
    with duckdb.connect() as connection:
        try:
            require_one_select(connection, sql)
            _set_up(connection, tables, open_one, _words(sql), min_audience)
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise InputError(_error_message(error, tables, connection)) from None


def open_connection(
    tables: Sequence[str], open_one: OpenTable, min_audience: int = MIN_AUDIENCE
) -> duckdb.DuckDBPyConnection:
    """Return a connection in memory with `tables` and the views of `sql/views` that these tables suffice for.

    `open_one` is called for each table now. The data files of a `ReleasedTable` are found when a query first reads it.
    """
    connection = duckdb.connect()
    _set_up(connection, tables, open_one, {*tables, *_views_over(tables)}, min_audience)
    return connection


def view_names() -> list[str]:
    return sorted(file.stem for file in VIEWS.glob("*.sql"))


def view_sql(view: str, min_audience: int = MIN_AUDIENCE) -> str:
    """Return the SELECT of a view; its first line is a comment with the question that it answers."""
    text = (VIEWS / f"{view}.sql").read_text(encoding="utf-8").strip().rstrip(";")
    return string.Template(text).substitute(min_audience=min_audience)


def require_one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in READ_ONLY:
        found = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise InputError(f"expected one SELECT, found {found}: the warehouse is read-only; run one query at a time")


def names_read_by(view: str) -> set[str]:
    """Return the tables and views that a view reads."""
    known = {file.stem for folder in (TABLES, VIEWS) for file in folder.glob("*.sql")}
    return (_words(view_sql(view)) & known) - {view}


def _views_over(tables: Sequence[str]) -> list[str]:
    """Return the views whose tables, and those of the views that they read, are all among `tables`."""
    missing = {file.stem for file in TABLES.glob("*.sql")} - {*tables}

    def is_readable(view: str) -> bool:
        names = names_read_by(view)
        return not names & missing and all(is_readable(name) for name in names & {*view_names()})

    return [view for view in view_names() if is_readable(view)]


def _set_up(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[str],
    open_one: OpenTable,
    names: Collection[str],
    min_audience: int,
) -> None:
    """Create views for `names` and for what they read.

    Names may carry the prefix `interest.`. Times are UTC. SQL can reach no files but those of the release, and no
    network.
    """
    files = ReleasedFiles()
    _prepare(connection, files)
    _create_views(connection, names, tables, open_one, files, min_audience)
    files.complete()
    _lock(connection)


def _prepare(connection: duckdb.DuckDBPyConnection, files: ReleasedFiles) -> None:
    connection.register_filesystem(files)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")  # else a name could mean a variable of this program
    connection.execute(f"CREATE SCHEMA {NAMESPACE}")
    connection.execute(f"SET search_path = '{NAMESPACE},main'")


def _create_views(
    connection: duckdb.DuckDBPyConnection,
    names: Collection[str],
    tables: Sequence[str],
    open_one: OpenTable,
    files: ReleasedFiles,
    min_audience: int,
) -> None:
    """Create a DuckDB view for each table and view among `names`, and first for those that it needs.

    A name that occurs for another reason, such as an alias, costs a look at the table's metadata and no more.
    """
    created: set[str] = set()

    def create(wanted: Collection[str]) -> None:
        for name in sorted({*wanted} & {*tables, *view_names()}):
            if name in created:
                continue
            created.add(name)
            if name in tables:
                opened = open_one(name)
                if isinstance(opened, ReleasedTable):
                    source = files.add(name, opened, connection)
                else:
                    source = f'"scan_{name}"'
                    connection.register(f"scan_{name}", opened)
                found = set(opened.schema.names)
                added = [f", NULL::VARCHAR AS {column}" for column in HIDDEN_COLUMNS.get(name, ())]
                added += [f", {value} AS {column}" for column, value in ADDED_COLUMNS.get(name, {}).items()
                          if column not in found]  # fmt: skip
                grown = _with_all_fields(name, opened.schema, connection)
                body = f"SELECT *{grown}{''.join(added)} FROM {source}"
            else:
                body = view_sql(name, min_audience)
                create(_words(body))
            connection.execute(f'CREATE VIEW {NAMESPACE}."{name}" AS {body}')

    create(names)


def _with_all_fields(table: str, found: pa.Schema, connection: duckdb.DuckDBPyConnection) -> str:
    """Return ` REPLACE (...)` with the columns of GROWN_COLUMNS that lack fields of today; empty where none does."""
    declared = {column.name: column.type for column in declared_columns(table)}
    grown = []
    for column in {*GROWN_COLUMNS.get(table, ())} & {*found.names}:
        if found.field(column).type.value_type.num_fields < declared[column].value_type.num_fields:
            [kind] = connection.from_arrow(pa.schema([(column, declared[column])]).empty_table()).types
            grown.append(f"CAST({column} AS {kind}) AS {column}")
    return f" REPLACE ({', '.join(grown)})" if grown else ""


def _words(sql: str) -> set[str]:
    """Return the words of a statement in lower case, without its comments and texts, as DuckDB tokenizes it."""
    encoded = sql.encode()
    tokens = duckdb.tokenize(sql)
    ends = [*(start for start, _ in tokens[1:]), len(encoded)]
    return {
        encoded[start:end].decode().strip().strip('"').lower()
        for (start, kind), end in zip(tokens, ends, strict=True)
        if kind not in (duckdb.token_type.string_const, duckdb.token_type.comment)
    }


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"SET allowed_directories = ['{PROTOCOL}://']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _error_message(error: duckdb.Error, tables: Sequence[str], connection: duckdb.DuckDBPyConnection) -> str:
    text = str(error).splitlines()
    # An error of a data file comes with the stack of Python, and ends with its own words.
    first_line = text[-1] if text[0].startswith("Traceback") else text[0]
    lines = [f"{first_line} (tables: {', '.join(tables)}; views: {', '.join(view_names())})"]
    if isinstance(error, duckdb.BinderException):
        columns = connection.execute(
            "SELECT table_name, string_agg(column_name, ', ' ORDER BY column_index) FROM duckdb_columns() "
            "WHERE schema_name = ? GROUP BY table_name ORDER BY table_name",
            [NAMESPACE],
        )
        lines += [f"  {table} has {names}" for table, names in columns.fetchall()]
    return "\n".join(lines)
