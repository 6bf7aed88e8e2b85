"""The data dictionary as one HTML page: tables and views, questions and columns, from `sql/ddl` and `sql/views`.

The head of a view's file says what the dictionary shows: the question, its grain and notes, and a line per column,
`-- name: meaning`, which may go on in lines that are indented further. A column without such a line is passed through:
its meaning is that of the column that the view reads.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from pipeline.analyst.ddl import DDL, declared_columns, declared_tables
from pipeline.analyst.query import names_read_by, open_connection, view_names, view_sql
from pipeline.analyst.report.page import template
from pipeline.files import write_whole
from pipeline.settings import MIN_AUDIENCE

COLUMN = re.compile(r"(\w+): (.+)")


@dataclass(frozen=True)
class ColumnEntry:
    """A column, or a field of its structs as `column.field`; `type` is that of DuckDB."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Entry:
    """A table or a view. sql: the SELECT of a view; empty for a table."""

    name: str
    heading: str
    notes: str
    columns: tuple[ColumnEntry, ...]
    sql: str = ""


def write_dictionary(file: Path, min_audience: int = MIN_AUDIENCE) -> None:
    """Write the page. It needs no other file, and no release."""
    views, tables = dictionary(min_audience)
    write_whole(file, template("dictionary").render(views=views, tables=tables, min_audience=min_audience))


def dictionary(min_audience: int = MIN_AUDIENCE) -> tuple[list[Entry], list[Entry]]:
    """Return the views and the tables, each sorted by name.

    Raises ValueError, naming view and column, if nothing says what a column means, or if there is no such column.
    """
    tables = {name: _table(name) for name in declared_tables()}
    views: dict[str, Entry] = {}

    def entry(name: str) -> Entry:
        if name in tables:
            return tables[name]
        if name not in views:
            read = [entry(source) for source in sorted(names_read_by(name))]
            views[name] = _view(name, view_sql(name, min_audience), types[name], read)
        return views[name]

    types = _types()
    return [entry(name) for name in view_names()], list(tables.values())


def _table(name: str) -> Entry:
    head = _head((DDL / f"{name}.sql").read_text(encoding="utf-8"))
    heading, _, notes = " ".join(head).partition(". ")
    columns = [
        one
        for column in declared_columns(name)
        for one in (
            ColumnEntry(column.name, _type(column.type), column.comment),
            *_fields(column.name, column.type),
        )
    ]
    return Entry(name, heading.rstrip(".") + ".", notes, tuple(columns))


def _view(name: str, sql: str, types: dict[str, pa.DataType], read: list[Entry]) -> Entry:
    question, *rest = _head(sql)
    notes, meanings, last = "", dict[str, str](), ""
    for line in rest:
        if found := COLUMN.fullmatch(line):
            last = found[1]
            if last not in types:
                raise ValueError(
                    f"sql/views/{name}.sql explains {last}, which is none of its columns: {', '.join(types)}"
                )
            meanings[last] = found[2]
        elif last:
            meanings[last] += f" {line.strip()}"
        else:
            notes += f" {line}"
    columns = [
        one
        for column, kind in types.items()
        for one in (
            [ColumnEntry(column, _type(kind), meanings[column])]
            if column in meanings
            else _passed_through(name, column, read)
        )
    ]
    return Entry(name, question, notes.strip(), tuple(columns), sql)


def _passed_through(view: str, column: str, read: list[Entry]) -> list[ColumnEntry]:
    """Return the entry of a column, and those of its fields, as the view's sources have them."""
    found = [[one for one in entry.columns if one.name.split(".")[0] == column] for entry in read]
    entries = [one for one in found if one]
    if not entries or any(one[0].meaning != entries[0][0].meaning for one in entries):
        raise ValueError(f"sql/views/{view}.sql: write what {column} means, as -- {column}: ...")
    return entries[0]


def _types() -> dict[str, dict[str, pa.DataType]]:
    """Return the types of the columns of each view, over empty tables."""

    def empty(table: str) -> ds.Dataset:
        schema = pa.schema([(column.name, column.type) for column in declared_columns(table)])
        return ds.dataset(schema.empty_table())

    with open_connection(declared_tables(), empty) as connection:
        schemas = {view: connection.sql(f"SELECT * FROM {view}").to_arrow_table().schema for view in view_names()}
    return {view: dict(zip(schema.names, schema.types, strict=True)) for view, schema in schemas.items()}


def _head(sql: str) -> list[str]:
    """Return the lines of the comment that a file begins with."""
    lines = sql.splitlines()
    count = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return [line.removeprefix("--").removeprefix(" ") for line in lines[:count]]


def _fields(name: str, kind: pa.DataType) -> Iterator[ColumnEntry]:
    """Yield the fields of a list of structs that have a comment."""
    element = kind.value_type if pa.types.is_list(kind) else kind
    for field in element if pa.types.is_struct(element) else ():
        if comment := (field.metadata or {}).get(b"comment", b"").decode():
            yield ColumnEntry(f"{name}.{field.name}", _type(field.type), comment)


def _type(kind: pa.DataType) -> str:
    """Return a type as a reader says it."""
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_map(kind):
        return f"map of {_type(kind.key_type)} to {_type(kind.item_type)}"
    if pa.types.is_timestamp(kind):
        return "timestamp, UTC"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_floating(kind):
        return "double" if pa.types.is_float64(kind) else "float"
    names = {"int64": "bigint", "int32": "integer", "bool": "boolean"}
    return "struct" if pa.types.is_struct(kind) else names.get(str(kind), str(kind))
