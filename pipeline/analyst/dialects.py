"""The views for Spark and Trino: sqlglot writes the DuckDB SQL of `sql/views` in the SQL of another engine.

The views keep to what all three speak. Dates move by `INTERVAL n DAY` and are compared by `date_diff`, shares are
doubles (`1E0`), since the mean of decimals is rounded, and the length of a list is `array_length`.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.analyst.query import TABLES, names_read_by, view_names, view_sql
from pipeline.analyst.release import NAMESPACE
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

# The schema of the views. An Iceberg view of a catalog that Spark and Trino share has the SQL of one of them.
SCHEMAS = {"spark": NAMESPACE, "trino": f"{NAMESPACE}_views"}
DIALECTS = tuple(SCHEMAS)


def create_statements(dialect: str, min_audience: int) -> dict[str, str]:
    """Return the CREATE statement of each view, those first that others read.

    For Spark each has the question and the meanings of the columns as comments, for Trino the question alone.
    Raises UsageError for another engine.
    """
    if dialect not in DIALECTS:
        raise UsageError(f"--dialect {dialect}: expected {' or '.join(DIALECTS)}")
    # Imported here: they take a second together, and a night needs them only after a change of a view.
    from sqlglot.expressions import Literal

    from pipeline.analyst.dictionary import dictionary

    def text(value: str) -> str:
        return str(Literal.string(value).sql(dialect))

    views, _ = dictionary(min_audience)
    by_name = {view.name: view for view in views}
    statements: dict[str, str] = {}

    def add(name: str) -> None:
        if name in statements:
            return
        for source in sorted(names_read_by(name) & by_name.keys()):
            add(source)
        view = by_name[name]
        columns = [f"{one.name} COMMENT {text(one.meaning)}" for one in view.columns if "." not in one.name]
        listed = f" ({', '.join(columns)})" if dialect == "spark" else ""
        statements[name] = (
            f"CREATE OR REPLACE VIEW {SCHEMAS[dialect]}.{name}{listed} COMMENT {text(view.heading)} AS\n"
            f"{select_in(dialect, name, min_audience)}"
        )

    for name in view_names():
        add(name)
    return statements


def select_in(dialect: str, view: str, min_audience: int) -> str:
    """Return the SELECT of a view in the SQL of `spark` or `trino`, with the schemas of tables and views.

    Raises sqlglot's UnsupportedError if the engine has nothing for a part of it.
    """
    import sqlglot
    from sqlglot import expressions as sql

    schemas = {file.stem: NAMESPACE for file in TABLES.glob("*.sql")} | dict.fromkeys(view_names(), SCHEMAS[dialect])
    tree = sqlglot.parse_one(view_sql(view, min_audience), read="duckdb")
    own = {one.alias for one in tree.find_all(sql.CTE)}

    def rewritten(node: "Expr") -> "Expr":
        if isinstance(node, sql.Table) and node.name in schemas.keys() - own:
            node.set("db", sql.to_identifier(schemas[node.name]))
        elif dialect == "trino" and isinstance(node, sql.Unnest):
            # Trino makes a column of each field of a row, so the row becomes the one field of another.
            node.set("expressions", [_in_row(one) for one in node.expressions])
        elif dialect == "trino" and isinstance(node, sql.Bracket):
            node.set("safe", True)  # a missing key of a map is null
        elif dialect == "spark" and isinstance(node, sql.ArraySize):
            return sql.Anonymous(this="ARRAY_SIZE", expressions=[node.this])  # null of null, where SIZE gives -1
        return node

    tree = tree.transform(rewritten)
    return str(tree.sql(dialect, pretty=True, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE))


def fingerprint_of_views(min_audience: int) -> str:
    """Return a hash that changes when the statements may do."""
    parts = [view_sql(name, min_audience) for name in view_names()]
    parts += [Path(__file__).read_text(encoding="utf-8"), version("sqlglot")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _in_row(items: "Expr") -> "Expr":
    import sqlglot

    return sqlglot.parse_one(f"TRANSFORM({items.sql('trino')}, one -> ROW(one))", read="trino")
