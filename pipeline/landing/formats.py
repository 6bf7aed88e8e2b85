"""From a log file to numbered lines: text files of any compression, and Parquet, whose rows become JSON lines."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.sources.schema import Reader

LINES = pa.schema([("file", pa.string()), ("line", pa.int64()), ("text", pa.string()), ("header", pa.string())])
LINES_PER_BATCH = 50_000
CHARACTERS_PER_BATCH = 64 << 20  # Arrow holds at most 2 GiB of text in one batch
ROWS_PER_READ = 8_192
MAX_LINE_BYTES = 64 << 20
MAX_HEADER_CHARACTERS = 1 << 20  # the header is stored with every line
COMPRESSIONS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}


def read_batches(path: Path, name: str, reader: Reader) -> Iterator[pa.RecordBatch]:
    """Yield the lines of a file as batches of schema LINES, numbered from 1.

    A header line (`reader.header`) is stored with every line; it has number 1 but is no line itself. Bytes that are no
    text in `reader.encoding` become `\\xNN`. The last batch may be empty.

    name: the name of the file in the column `file`.

    Raises InputError if a line or the header is too long; OSError, EOFError or pa.ArrowInvalid if the file is damaged.
    """
    header: str | None = None
    numbers: list[int] = []
    texts: list[str] = []
    characters = 0

    def batch() -> pa.RecordBatch:
        count = len(numbers)
        return pa.record_batch([[name] * count, numbers, texts, [header] * count], schema=LINES)

    lines = _parquet_lines(path) if reader.format == "parquet" else _text_lines(path, reader)
    for number, text in enumerate(lines, 1):
        if reader.header and number == 1:
            header = text
            if len(header) > MAX_HEADER_CHARACTERS:
                raise InputError(
                    f"{path}: its first line has {len(header):,} characters; expected a header line, which names the "
                    f"columns. If the file has none, leave `header` out of the TOML. Nothing of it was landed"
                )
            continue
        numbers.append(number)
        texts.append(text)
        characters += len(text) + len(header or "")
        if len(numbers) == LINES_PER_BATCH or characters >= CHARACTERS_PER_BATCH:
            yield batch()
            numbers, texts, characters = [], [], 0
    yield batch()


def _text_lines(path: Path, reader: Reader) -> Iterator[str]:
    compression = COMPRESSIONS.get(path.suffix)
    with pa.input_stream(str(path), compression=compression, buffer_size=1 << 20) as stream:
        for number, line in enumerate(_byte_lines(path, stream), 1):
            text = line.removesuffix(b"\r").decode(reader.encoding, errors="backslashreplace")
            yield text.removeprefix("\ufeff") if number == 1 else text


def _byte_lines(path: Path, stream: pa.NativeFile) -> Iterator[bytes]:
    parts: list[bytes] = []  # of the line whose end has not been read yet
    length = number = 0
    while block := stream.read(1 << 20):
        end, *others = block.split(b"\n")
        parts.append(end)
        length += len(end)
        if length > MAX_LINE_BYTES:
            raise InputError(
                f"{path}: line {number + 1} is longer than {MAX_LINE_BYTES >> 20} MiB; expected one event per line. "
                f"Is the file one JSON list, or do its lines not end with a newline? Nothing of it was landed"
            )
        for other in others:
            yield b"".join(parts)
            parts, length, number = [other], len(other), number + 1
    if last := b"".join(parts):
        yield last


def _parquet_lines(path: Path) -> Iterator[str]:
    for batch in pq.ParquetFile(path).iter_batches(ROWS_PER_READ):
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError):
            rows = [{name: _value(batch[name][row]) for name in batch.schema.names} for row in range(batch.num_rows)]
        for row in rows:
            try:
                yield json.dumps(row, default=str, ensure_ascii=False, allow_nan=False)
            except ValueError:
                yield json.dumps(_finite(row), default=str, ensure_ascii=False)


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
