"""From a log file to numbered lines of text. Rows of Parquet and Avro become lines of JSON."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError
from pipeline.landing.archives import InputFile, open_file
from pipeline.landing.file_kinds import AVRO, HEAD_BYTES, PARQUET, binary_kind
from pipeline.landing.records import avro_rows, parquet_rows
from pipeline.landing.text import text_lines
from pipeline.sources.schema import Reader

LINES = pa.schema([("file", pa.string()), ("line", pa.int64()), ("text", pa.string()), ("header", pa.string())])
CHARACTERS_PER_BATCH = 64 << 20  # Arrow holds at most 2 GiB of text in one batch
MAX_HEADER_CHARACTERS = 1 << 20  # the header is stored with every line
FIELDS_LINE = "#Fields:"
COPY_BYTES = 1 << 20
Batch = tuple[np.ndarray, pa.StringArray, str | None]  # numbers of lines, lines, their header


def read_batches(file: InputFile, name: str, reader: Reader) -> Iterator[pa.RecordBatch]:
    """Yield the lines of a file as batches of schema LINES; see `read_stream`."""
    with open_file(file) as content:
        yield from read_stream(content, file, name, reader)


def read_stream(
    content: io.BufferedReader, file: InputFile, name: str, reader: Reader, folder: Path | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the lines of an unpacked file as batches of schema LINES, numbered from 1.

    A header line (`reader.header`) is stored with every line; it has a number but is no line itself. A line `#Fields:`
    of a W3C log is stored with every line up to the next one, and is a line itself. Bytes that are no text in
    `reader.encoding` become `\\xNN`.

    name: the name of the file in the column `file`. folder: where a packed Parquet file may be copied, since its rows
    cannot be read in one pass.

    Raises InputError if the file is of another kind than the format, or if a line or the header is too long; OSError,
    EOFError or pa.ArrowInvalid if the file is damaged.
    """
    _require_format(content.peek(HEAD_BYTES)[:HEAD_BYTES], str(file), reader)
    if reader.format == "parquet":
        with _seekable(content, file, folder) as whole:
            yield from _named(_without_header(parquet_rows(whole)), name)
    elif reader.format == "avro":
        yield from _named(_without_header(avro_rows(content, str(file))), name)
    else:
        lines = text_lines(content, str(file), reader)
        if reader.format == "w3c":
            yield from _named(_with_fields_lines(lines), name)
        else:
            yield from _named(_with_header(lines, str(file), reader), name)


def _require_format(head: bytes, label: str, reader: Reader) -> None:
    """Raise InputError if a file that begins with `head` is binary and of another format than the reader's."""
    kind = binary_kind(head)
    if kind is None and reader.format in ("parquet", "avro") and head:
        raise InputError(
            f"{label}: cannot be read as {reader.format}: it begins with {head[:20]!r}, as text does; set the format "
            f"of its lines in [reader]. Nothing of it was landed"
        )
    if kind is None or (kind, reader.format) in ((PARQUET, "parquet"), (AVRO, "avro")):
        return
    expected = {"parquet": "a Parquet file", "avro": "an Avro file"}.get(reader.format, "lines of text")
    raise InputError(
        f"{label}: it is {kind.name}; expected {expected}, since the TOML says format = {reader.format!r}, as it is or "
        f"packed as gzip, zstd, bzip2, zip or tar: {kind.advice}. Nothing of it was landed"
    )


@contextmanager
def _seekable(content: io.BufferedReader, file: InputFile, folder: Path | None) -> Iterator[Path | IO[bytes]]:
    """Yield a file of Parquet that can be read at any place: itself, or a copy of one that is packed."""
    if isinstance(file, Path) and isinstance(content.raw, io.FileIO):
        yield file
        return
    with tempfile.TemporaryFile(dir=folder) as copy:
        while block := content.read(COPY_BYTES):
            copy.write(block)
        yield copy


def _without_header(rows: Iterator[pa.StringArray]) -> Iterator[Batch]:
    number = 1
    for texts in rows:
        yield np.arange(number, number + len(texts)), texts, None
        number += len(texts)


def _with_header(lines: Iterator[tuple[np.ndarray, pa.StringArray]], label: str, reader: Reader) -> Iterator[Batch]:
    """Take the header line out of the lines: the first one that is no comment."""
    header: str | None = None
    for numbers, texts in lines:
        if reader.header and header is None:
            place = 0
            if reader.comment:
                is_comment = pc.starts_with(texts, reader.comment)
                place = pc.index(is_comment, False).as_py()
                place = len(texts) if place < 0 else place
                yield numbers[:place], texts[:place], None
            if place == len(texts):
                continue
            header = texts[place].as_py()
            if len(header) > MAX_HEADER_CHARACTERS:
                raise InputError(
                    f"{label}: its first line has {len(header):,} characters; expected a header line, which names the "
                    f"columns. If the file has none, leave `header` out of the TOML. Nothing of it was landed"
                )
            numbers, texts = numbers[place + 1 :], texts[place + 1 :]
        yield numbers, texts, header


def _with_fields_lines(lines: Iterator[tuple[np.ndarray, pa.StringArray]]) -> Iterator[Batch]:
    """Give each line of a W3C log the newest line `#Fields:` up to it. A longer one than the limit names no fields."""
    header: str | None = None
    for numbers, texts in lines:
        starts = np.flatnonzero(pc.starts_with(texts, FIELDS_LINE).to_numpy(zero_copy_only=False))
        for first, last in zip([0, *starts], [*starts, len(texts)], strict=True):
            if last > first:
                found = texts[first].as_py()
                if found.startswith(FIELDS_LINE):
                    header = found if len(found) <= MAX_HEADER_CHARACTERS else None
                yield numbers[first:last], texts[first:last], header


def _named(batches: Iterator[Batch], name: str) -> Iterator[pa.RecordBatch]:
    for numbers, texts, header in batches:
        start = 0
        for part in _small_batches(texts, len(header or "")):
            count = len(part)
            file, headers = (pa.repeat(pa.scalar(value, pa.string()), count) for value in (name, header))
            yield pa.record_batch([file, pa.array(numbers[start : start + count]), part, headers], schema=LINES)
            start += count


def _small_batches(texts: pa.StringArray, header_characters: int) -> Iterator[pa.StringArray]:
    """Yield slices of texts, each of about CHARACTERS_PER_BATCH with a header for every line."""
    characters = (pc.sum(pc.binary_length(texts)).as_py() or 0) + len(texts) * header_characters
    batches = max(1, characters // CHARACTERS_PER_BATCH)
    size = max(1, -(-len(texts) // batches))
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
