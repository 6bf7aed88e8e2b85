"""Rows of Parquet and Avro files as lines of JSON, typed: no value passes through another type's text."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError

ROWS_PER_READ = 8_192
LARGEST_EXACT = 1 << 53  # above, a float does not tell neighbouring integers apart


def parquet_rows(file: Path | IO[bytes]) -> Iterator[pa.StringArray]:
    """Yield the rows of a Parquet file as JSON objects. For the form of values see `_plain`."""
    parquet = pq.ParquetFile(file)
    names = parquet.schema_arrow.names
    if len(names) > len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise pa.ArrowInvalid(f"it has more than one column named {twice}; rename one of them")
    for batch in parquet.iter_batches(ROWS_PER_READ):
        batch = batch.cast(pa.schema([field.with_type(_in_micros(field.type)) for field in batch.schema]), safe=False)
        try:
            rows = batch.to_pylist(maps_as_pydicts="strict")
        except KeyError as error:
            raise pa.ArrowInvalid(f"a map has a key twice: {error}") from None
        except (ValueError, OverflowError):
            rows = [{name: _value(batch[name][row]) for name in batch.schema.names} for row in range(batch.num_rows)]
        yield pa.array([_as_json(row) for row in rows], pa.string())


def avro_rows(stream: IO[bytes], label: str) -> Iterator[pa.StringArray]:
    """Yield the records of an Avro file as JSON objects, by the schema that the file holds.

    Raises InputError if the file is damaged.
    """
    rows: list[str] = []
    try:
        for record in fastavro.reader(stream):
            rows.append(_as_json(record))
            if len(rows) == ROWS_PER_READ:
                yield pa.array(rows, pa.string())
                rows = []
    except Exception as error:  # fastavro raises many kinds of errors for damaged files
        raise InputError(
            f"{label}: cannot be read as avro: {type(error).__name__}: {error}; nothing of it was landed. Check that "
            f"it is complete"
        ) from None
    if rows:
        yield pa.array(rows, pa.string())


def _in_micros(kind: pa.DataType) -> pa.DataType:
    """Return a type with microseconds in place of nanoseconds, which neither Python nor Spark has."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_time64(kind):
        return pa.time64("us")
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_in_micros(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_micros(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, kind.item_field.with_type(_in_micros(kind.item_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_in_micros(kind.value_type)))
    return kind


def _as_json(row: Any) -> str:
    plain = _plain(row)
    try:
        return json.dumps(plain, ensure_ascii=False)
    except TypeError:  # a decimal
        return _with_decimals(plain)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it, or a decimal.

    A whole float is an integer, since data frames write integers as floats if one is missing. NaN is null, since data
    frames write missing numbers so; infinity is text. Times are ISO text with microseconds and their zone. Bytes are
    text in utf-8, with \\xNN for bytes that are none.
    """
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return int(value) if value.is_integer() and abs(value) <= LARGEST_EXACT else value
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    return str(value)


def _with_decimals(value: Any) -> str:
    """Return JSON whose decimals are numbers with all their digits; the json module writes none."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        parts = [f"{json.dumps(name, ensure_ascii=False)}: {_with_decimals(part)}" for name, part in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_with_decimals, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _value(scalar: pa.Scalar) -> object:
    """Return a Python value; where there is none, a time outside the calendar is a number and bytes are \\xNN."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(part) for name, part in scalar.items()}
        if isinstance(scalar, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
            return [_value(part) for part in scalar.values]
        if isinstance(scalar, pa.BinaryScalar):
            return scalar.as_buffer().to_pybytes().decode(errors="backslashreplace")
        return getattr(scalar, "value", None)
