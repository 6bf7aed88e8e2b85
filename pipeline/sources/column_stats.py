"""What the values of a column look like: the counts by which `guess` decides."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipeline.sources.times import AMBIGUOUS, FORMS, condition
from pipeline.sources.vocabulary import NO_PERSON, NO_VALUES, ZEROS

TOP = 100  # most frequent values that are kept
ADDRESS = r"([0-9]{1,3}[.]){3}[0-9]{1,3}|[0-9a-fA-F:]*::[0-9a-fA-F:]*|([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"


def quoted(name: str) -> str:
    """Return a name as Spark SQL takes it, in backticks if it has other characters than letters, digits and _."""
    return name if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) else f"`{name.replace('`', '``')}`"


@dataclass(frozen=True)
class ColumnStats:
    """Counts of a column's values in a sample. Empty text and placeholders count as missing.

    placeholders: how many values are placeholders, such as null and 0. placeholder: the most frequent one.
    path: the names that lead to the value, one for a column and more inside an object. times: values by form of time.
    is_list: an array of texts. is_mixed: sometimes text, sometimes a list. in_list: a field of the objects of a list.
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
    placeholders: int = 0
    placeholder: str = ""
    is_list: bool = False
    is_mixed: bool = False
    in_list: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def sql(self) -> str:
        """The column as an expression of Spark SQL."""
        return ".".join(quoted(part) for part in self.path)

    def share(self, count: int) -> float:
        """Return a count as a share of the filled values."""
        return count / self.filled if self.filled else 0.0


def column_stats(
    connection: duckdb.DuckDBPyConnection, table: str, column: str, path: Sequence[str], **kind: bool
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
        f"count_if({condition(AMBIGUOUS, 'v')} AND try_cast(regexp_extract(v, '^([0-9]+)', 1) AS INT) > 12)",
        f"count_if({condition(AMBIGUOUS, 'v')} AND try_cast(regexp_extract(v, '/([0-9]+)/', 1) AS INT) > 12)",
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
    integers, addresses, words, day_first, month_first = rest[len(FORMS) :]
    return ColumnStats(
        tuple(path), rows, count, distinct, dict(top), times, integers, addresses, words, day_first, month_first,
        placeholders, placeholder or "", **kind
    )  # fmt: skip


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
