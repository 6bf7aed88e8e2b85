"""From a log file to numbered lines: text files of any compression, and Parquet, whose rows become JSON lines."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.sources.schema import Reader

LINES = pa.schema([("file", pa.string()), ("line", pa.int64()), ("text", pa.string()), ("header", pa.string())])
BLOCK_BYTES = 4 << 20  # of text that is read and split at once
CHARACTERS_PER_BATCH = 64 << 20  # Arrow holds at most 2 GiB of text in one batch
ROWS_PER_READ = 8_192
MAX_LINE_BYTES = 64 << 20
MAX_HEADER_CHARACTERS = 1 << 20  # the header is stored with every line
COMPRESSIONS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}


def read_batches(path: Path, name: str, reader: Reader) -> Iterator[pa.RecordBatch]:
    """Yield the lines of a file as batches of schema LINES, numbered from 1.

    A header line (`reader.header`) is stored with every line; it has number 1 but is no line itself. Bytes that are no
    text in `reader.encoding` become `\\xNN`.

    name: the name of the file in the column `file`.

    Raises InputError if a line or the header is too long; OSError, EOFError or pa.ArrowInvalid if the file is damaged.
    """
    header: str | None = None
    number = 1
    for texts in _parquet_rows(path) if reader.format == "parquet" else _text_lines(path, reader):
        if reader.header and number == 1:
            header = texts[0].as_py()
            if len(header) > MAX_HEADER_CHARACTERS:
                raise InputError(
                    f"{path}: its first line has {len(header):,} characters; expected a header line, which names the "
                    f"columns. If the file has none, leave `header` out of the TOML. Nothing of it was landed"
                )
            number, texts = 2, texts[1:]
        for batch in _small_batches(texts, len(header or "")):
            count = len(batch)
            numbers = pa.array(np.arange(number, number + count))
            file, headers = (pa.repeat(pa.scalar(value, pa.string()), count) for value in (name, header))
            yield pa.record_batch([file, numbers, batch, headers], schema=LINES)
            number += count


def _small_batches(texts: pa.StringArray, header_characters: int) -> Iterator[pa.StringArray]:
    """Yield slices of texts, each of about CHARACTERS_PER_BATCH with a header for every line."""
    characters = (pc.sum(pc.binary_length(texts)).as_py() or 0) + len(texts) * header_characters
    batches = max(1, characters // CHARACTERS_PER_BATCH)
    size = max(1, -(-len(texts) // batches))
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _text_lines(path: Path, reader: Reader) -> Iterator[pa.StringArray]:
    """Yield the lines of a text file as arrays, none of them empty: the lines that end in the same block of bytes."""
    parts: list[bytes] = []  # of the line whose end has not been read yet
    length = count = 0
    with pa.input_stream(str(path), compression=COMPRESSIONS.get(path.suffix), buffer_size=1 << 20) as stream:
        while block := stream.read(BLOCK_BYTES):
            end = block.rfind(b"\n") + 1
            length += block.find(b"\n") if end else len(block)
            if length > MAX_LINE_BYTES:
                raise InputError(
                    f"{path}: line {count + 1} is longer than {MAX_LINE_BYTES >> 20} MiB; expected one event per line. "
                    f"Is the file one JSON list, or do its lines not end with a newline? Nothing of it was landed"
                )
            if not end:
                parts.append(block)
                continue
            lines = _split_lines(b"".join([*parts, block[:end]]), reader.encoding, is_start=count == 0)
            yield lines
            parts, length, count = [block[end:]], len(block) - end, count + len(lines)
    if any(parts):
        yield _split_lines(b"".join([*parts, b"\n"]), reader.encoding, is_start=count == 0)


def _split_lines(content: bytes, encoding: str, is_start: bool) -> pa.StringArray:
    """Split whole lines, each with its newline, and decode them; remove a byte order mark at the start of a file."""
    whole = pa.array([content.replace(b"\r\n", b"\n")], pa.binary())
    lines = pc.split_pattern(whole, b"\n").values[:-1]
    try:
        texts = lines.cast(pa.string()) if encoding == "utf-8" else None
    except pa.ArrowInvalid:
        texts = None
    if texts is None:
        decoded = [line.decode(encoding, errors="backslashreplace") for line in lines.to_pylist()]
        texts = pa.array(decoded, pa.string())
    if is_start and (first := texts[0].as_py()).startswith("\ufeff"):
        texts = pa.concat_arrays([pa.array([first[1:]], pa.string()), texts[1:]])
    return texts


def _parquet_rows(path: Path) -> Iterator[pa.StringArray]:
    for batch in pq.ParquetFile(path).iter_batches(ROWS_PER_READ):
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError):
            rows = [{name: _value(batch[name][row]) for name in batch.schema.names} for row in range(batch.num_rows)]
        yield pa.array([_as_json(row) for row in rows], pa.string())


def _as_json(row: dict[str, object]) -> str:
    try:
        return json.dumps(row, default=str, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(row), default=str, ensure_ascii=False)


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


def _finite(value: object) -> object:
    """Return a value with NaN as null, since data frames write missing numbers as NaN, and infinity as text."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
