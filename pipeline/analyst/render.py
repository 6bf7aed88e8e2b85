"""Renders the result of a query: a table for the terminal, CSV, JSON or Parquet."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.errors import UsageError
from pipeline.escape import for_spreadsheet, printable

FORMATS = ("table", "csv", "json", "parquet")
ROWS_SHOWN = 100
ENTRIES_SHOWN = 3  # of a list in a cell
TEXT_SHOWN = 64  # characters of a text in a cell, the length of a pseudonym
ROWS_AT_ONCE = 10_000


def with_heading(heading: str, table: Table) -> Group:
    """Return a table below a heading. Rich would wrap a title of the table itself to the width of the table."""
    return Group(Text(heading, style="bold"), table)


def render(table: pa.Table, format: str, raw: bool = False) -> Group | str | bytes:
    """Return a table for Rich to print, CSV or JSON text, or the bytes of a Parquet file.

    raw: leave texts of CSV as they are; else formulas and control characters are escaped, for spreadsheets.

    Raises UsageError if the format is none of FORMATS.
    """
    match format:
        case "table":
            return as_rich(table)
        case "csv":
            return as_csv(table, raw)
        case "json":
            text = json.dumps(list(_plain_records(table)), ensure_ascii=False, indent=1)
            return _escaped_json(text) + "\n"
        case "parquet":
            file = io.BytesIO()
            pq.write_table(table, file)
            return file.getvalue()
    raise UsageError(f"unknown format {format!r}: expected one of {', '.join(FORMATS)}")


def as_rich(table: pa.Table) -> Group:
    """Return the first rows, with lists and texts shortened, and the number of all rows."""
    count = table.num_rows
    footer = f"{count:,} row" if count == 1 else f"{count:,} rows"
    if count > ROWS_SHOWN:
        footer = f"the first {ROWS_SHOWN} of {footer}; for all of them: --format csv, json or parquet"
    shown = Table()
    for field in table.schema:
        is_number = (
            pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        )
        shown.add_column(Text(printable(field.name)), justify="right" if is_number else "left", overflow="fold")
    for row in _rows(table.slice(0, ROWS_SHOWN)):
        shown.add_row(*[Text(short(value)) for value in row])
    return Group(shown, Text(footer))


def as_csv(table: pa.Table, raw: bool = False, has_header: bool = True) -> str:
    """Return a header and one line per row. Null is empty; lists, maps and structs are JSON.

    raw: leave texts as they are; else `for_spreadsheet` escapes them.
    """
    safe = str if raw else for_spreadsheet
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if has_header:
        writer.writerow([safe(name) for name in table.column_names])
    for row in _rows(table):
        values = (plain(value) for value in row)
        texts = (json.dumps(one, ensure_ascii=False) if isinstance(one, list | dict | bool) else one for one in values)
        writer.writerow([safe(one) if isinstance(one, str) else one for one in texts])
    return text.getvalue()


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: times as ISO text with Z, maps as objects, NaN as null."""
    match value:
        case datetime():
            return iso(value)
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return value.hex()
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case None | bool() | int() | str():
            return value
    return str(value)


def iso(moment: datetime) -> str:
    """Return a time as ISO text in UTC with Z. A time without a zone is UTC."""
    in_utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return in_utc.isoformat().replace("+00:00", "Z")


def short(value: Any) -> str:
    """Return a value shortened so that it fits a cell."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
        case list() | tuple():
            more = [f"… {len(value)} in all"] if len(value) > ENTRIES_SHOWN else []
            return "[" + ", ".join([short(one) for one in value[:ENTRIES_SHOWN]] + more) + "]"
        case Mapping():
            return " ".join(f"{printable(str(key))}={short(one)}" for key, one in value.items())
        case str():
            return printable(value if len(value) <= TEXT_SHOWN else value[: TEXT_SHOWN - 1] + "…")
        case datetime():
            return iso(value).replace("T", " ")
    return printable(str(plain(value)))


def _escaped_json(text: str) -> str:
    r"""Return the same JSON with each control character, such as U+009B, as \u009b. Below U+0020, json has done so."""
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def _plain_records(table: pa.Table) -> Iterator[dict[str, Any]]:
    for row in _rows(table):
        yield dict(zip(table.column_names, map(plain, row), strict=True))


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield rows as tuples of Python values, maps as dicts. Tuples, since two columns may have the same name."""
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        yield from zip(*[column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns], strict=True)
