"""Columns, types and comments of the tables, parsed from `sql/ddl`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from pipeline.settings import ROOT

DDL = ROOT / "sql" / "ddl"
PRIMITIVES = {
    "STRING": pa.string(),
    "BOOLEAN": pa.bool_(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}
TOKEN = re.compile(r"'[^']*'|\w+|[<>():,]")


@dataclass(frozen=True)
class Column:
    """One column of a table; its comment states meaning and unit."""

    name: str
    type: pa.DataType  # a field of a struct keeps its comment in its metadata, under b"comment"
    is_required: bool
    comment: str


@cache
def declared_columns(table: str) -> tuple[Column, ...]:
    """Return the columns of a table in order; none for a table that `sql/ddl` does not declare."""
    file = DDL / f"{table}.sql"
    return tuple(parse_ddl(file.read_text(encoding="utf-8"))) if file.is_file() else ()


def declared_tables() -> list[str]:
    return sorted(file.stem for file in DDL.glob("*.sql"))


def parse_ddl(ddl: str) -> Iterator[Column]:
    """Yield the columns of a CREATE TABLE statement of Spark SQL.

    Raises ValueError naming the type if one is unknown here.
    """
    without_comments = re.sub(r"^--.*$", "", ddl, flags=re.MULTILINE)
    tokens = _Tokens(TOKEN.findall(without_comments.partition("(")[2]))
    while tokens.next_is_a_name():
        name, kind = tokens.take(), _type(tokens)
        is_required = tokens.skip("NOT") and tokens.skip("NULL")
        comment = tokens.take().strip("'") if tokens.skip("COMMENT") else ""
        yield Column(name, kind, is_required, comment)
        tokens.skip(",")


class _Tokens:
    """A statement's words, taken from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self._left = tokens[::-1]

    def take(self) -> str:
        return self._left.pop()

    def skip(self, word: str) -> bool:
        """Skip the next word if it is this one, and return whether it was."""
        is_next = bool(self._left) and self._left[-1].upper() == word
        if is_next:
            self._left.pop()
        return is_next

    def next_is_a_name(self) -> bool:
        return bool(self._left) and self._left[-1].isidentifier()


def _type(tokens: _Tokens) -> pa.DataType:
    word = tokens.take().upper()
    if word == "ARRAY":
        tokens.skip("<")
        element = _type(tokens)
        tokens.skip(">")
        return pa.list_(element)
    if word == "MAP":
        tokens.skip("<")
        key = _type(tokens)
        tokens.skip(",")
        value = _type(tokens)
        tokens.skip(">")
        return pa.map_(key, value)
    if word == "STRUCT":
        tokens.skip("<")
        fields = []
        while not tokens.skip(">"):
            name = tokens.take()
            tokens.skip(":")
            kind = _type(tokens)
            comment = tokens.take().strip("'") if tokens.skip("COMMENT") else ""
            fields.append(pa.field(name, kind, metadata={"comment": comment}))
            tokens.skip(",")
        return pa.struct(fields)
    if word not in PRIMITIVES:
        raise ValueError(f"unknown type {word}: expected ARRAY, MAP, STRUCT or one of {', '.join(PRIMITIVES)}")
    return PRIMITIVES[word]
