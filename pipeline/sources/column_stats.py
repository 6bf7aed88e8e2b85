"""What the values of a column look like: the counts by which `guess` decides."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pipeline.sources.times import AMBIGUOUS, FORMS, condition
from pipeline.sources.vocabulary import NO_PERSON, NO_VALUES, ZEROS

TOP = 100  # most frequent values that are kept
MOST = 0.8  # share of the values that must be objects
MAX_FIELDS = 60  # of the objects of a column
ADDRESS = r"([0-9]{1,3}[.]){3}[0-9]{1,3}|[0-9a-fA-F:]*::[0-9a-fA-F:]*|([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"

FIRST_NUMBER, SECOND_NUMBER = (
    f"try_cast(regexp_extract(v, '{pattern}', 1) AS INT)" for pattern in ("^([0-9]+)", "/([0-9]+)/")
)


def quoted(name: str) -> str:
    """Return a name as Spark SQL takes it, in backticks if it has other characters than letters, digits and _."""
    return name if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) else f"`{name.replace('`', '``')}`"


@dataclass(frozen=True)
class ColumnStats:
    """Counts of a column's values in a sample. Empty text and placeholders count as missing.

    placeholders: how many values are placeholders, such as null and 0. placeholder: the most frequent one.
    path: the names that lead to the value, one for a column and more inside an object. times: values by form of time.
    is_list: an array of texts. is_mixed: sometimes text, sometimes a list. in_list: a field of the objects of a list.
    in_text: a field of an object that is written as text, to which so many names lead; 0 if it is none.
    """

    path: tuple[str, ...]
    rows: int
    filled: int
    distinct: int
    top: Mapping[str, int]
    times: Mapping[str, int]
    integers: int = 0
    addresses: int = 0
    words: int = 0  # letters and blanks only
    day_first: int = 0  # of times such as 13/04/2026, how many have a first number above 12
    month_first: int = 0  # and how many a second one
    first_numbers: int = 0  # of times such as 13/04/2026, how many first numbers are different
    second_numbers: int = 0  # and how many second ones
    placeholders: int = 0
    placeholder: str = ""
    is_list: bool = False
    is_mixed: bool = False
    in_list: bool = False
    in_text: int = 0

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def sql(self) -> str:
        """The column as an expression of Spark SQL."""
        if self.in_text:
            text = ".".join(quoted(part) for part in self.path[: self.in_text])
            return f"get_json_object({text}, '$.{'.'.join(self.path[self.in_text :])}')"
        return ".".join(quoted(part) for part in self.path)

    @property
    def holds_objects(self) -> bool:
        """Whether most values are JSON objects, written as text."""
        objects = sum(count for value, count in self.top.items() if value.startswith("{") and value.endswith("}"))
        return bool(objects) and objects >= MOST * sum(self.top.values())

    def share(self, count: int) -> float:
        """Return a count as a share of the filled values."""
        return count / self.filled if self.filled else 0.0


# The counts of values besides their forms as times, in the order of the query.
COUNTED = ("integers", "addresses", "words", "day_first", "month_first", "first_numbers", "second_numbers")


def column_stats(
    connection: duckdb.DuckDBPyConnection, table: str, column: str, path: Sequence[str], **kind: Any
) -> ColumnStats:
    """Count the values of a text column of a table."""
    value = f'trim(CAST("{column}" AS VARCHAR))'
    missing = ", ".join("'" + text.replace("'", "''") + "'" for text in (*NO_VALUES, *NO_PERSON))
    is_filled = f"lower({value}) NOT IN ({missing}) AND NOT regexp_full_match({value}, '{ZEROS}')"
    forms = [f"count_if({condition(form, 'v')})" for form in FORMS]
    others = (
        "count_if(regexp_full_match(v, '-?[0-9]+'))",
        f"count_if(regexp_full_match(v, '{ADDRESS}'))",
        "count_if(regexp_full_match(v, '[^0-9]*[^0-9 ,;|][^0-9]*') AND length(v) < 40)",
        f"count_if({condition(AMBIGUOUS, 'v')} AND {FIRST_NUMBER} > 12)",
        f"count_if({condition(AMBIGUOUS, 'v')} AND {SECOND_NUMBER} > 12)",
        f"count(DISTINCT {FIRST_NUMBER}) FILTER (WHERE {condition(AMBIGUOUS, 'v')})",
        f"count(DISTINCT {SECOND_NUMBER}) FILTER (WHERE {condition(AMBIGUOUS, 'v')})",
    )
    filled = f"(SELECT {value} AS v FROM {table} WHERE {is_filled})"
    counts = ", ".join(["count(*)", "count(DISTINCT v)", *forms, *others])
    [(count, distinct, *found)] = connection.sql(f"SELECT {counts} FROM {filled}").fetchall()
    rest = [number or 0 for number in found]  # a count of no rows is null
    [(rows,)] = connection.sql(f"SELECT count(*) FROM {table}").fetchall()
    [(placeholders, placeholder)] = connection.sql(
        f"SELECT count(*), mode({value}) FROM {table} WHERE {value} != '' AND NOT ({is_filled})"
    ).fetchall()
    top = connection.sql(f"SELECT v, count(*) AS n FROM {filled} GROUP BY v ORDER BY n DESC, v LIMIT {TOP}").fetchall()
    times = {form.name: number for form, number in zip(FORMS, rest, strict=False) if number}
    counted: dict[str, Any] = dict(zip(COUNTED, rest[len(FORMS) :], strict=True))
    return ColumnStats(
        tuple(path), rows, count, distinct, dict(top), times, **counted, placeholders=placeholders,
        placeholder=placeholder or "", **kind
    )  # fmt: skip


def with_fields_of_texts(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnStats]
) -> list[ColumnStats]:
    """Return the columns of a table and, of those that hold JSON objects as text, the fields, which become columns.

    These are numbers and texts, those of inner objects included; lists are left out.
    table: its columns are named c0, c1 and so on.
    """
    found = list(columns)
    for number, column in enumerate(columns):
        if column.is_list or column.in_list or not column.holds_objects:
            continue
        text = f'"c{number}"'
        [(structure,)] = connection.sql(
            f"SELECT json_group_structure({text}::JSON) FROM {table} WHERE json_valid({text})"
        ).fetchall()
        for path in list(_scalars(json.loads(structure or "{}")))[:MAX_FIELDS]:
            name, at = f"c{len(found)}", "".join(f'."{part}"' for part in path)
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} VARCHAR")
            connection.execute(
                f"UPDATE {table} SET {name} = json_extract_string({text}, '${at}') WHERE json_valid({text})"
            )
            found.append(column_stats(connection, table, name, [*column.path, *path], in_text=len(column.path)))
    return found


def _scalars(structure: Any) -> Iterator[tuple[str, ...]]:
    """Yield the paths to numbers and texts in an object, as DuckDB describes it; of plain names only."""
    for name, kind in structure.items() if isinstance(structure, dict) else ():
        if not re.fullmatch(r"[\w$-]+", name):
            continue
        if isinstance(kind, dict):
            yield from ((name, *path) for path in _scalars(kind))
        elif isinstance(kind, str):
            yield (name,)


def determines(connection: duckdb.DuckDBPyConnection, table: str, one: str, other: str, third: str) -> tuple[int, int]:
    """Return, of the values of `one` that occur with several values of `third`, how many have one of `other`; and all.

    It tells an item, which has one category whoever sees it, from a user.
    """
    [(single, total)] = connection.sql(
        f"""SELECT count_if(others = 1), count(*) FROM (
            SELECT count(DISTINCT "{other}") AS others, count(DISTINCT "{third}") AS thirds
            FROM {table} GROUP BY "{one}") WHERE thirds > 1"""
    ).fetchall()
    return single, total
