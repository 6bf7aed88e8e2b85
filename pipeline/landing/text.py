"""Lines of text: split at newlines, or read as CSV records or JSON documents that extend over several lines."""

import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError
from pipeline.landing.file_kinds import HEAD_BYTES
from pipeline.sources.schema import Reader

BLOCK_BYTES = 4 << 20  # of text that is read and split at once
MAX_LINE_BYTES = 64 << 20
MAX_RECORD_LINES = 1_000  # of a CSV record; a quote that is never closed does not swallow the file
NumberedTexts = tuple[np.ndarray, pa.StringArray]
# A list of objects, or an object on several lines
_DOCUMENTS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*(?:\{|\]|$)|\{[ \t\r]*\n)")
_BETWEEN = re.compile(r"[ \t\r\n,\ufeff]*")
_BREAK = re.compile(r"\s*[\r\n]\s*")


def text_lines(stream: io.BufferedReader, label: str, reader: Reader) -> Iterator[NumberedTexts]:
    """Yield the lines of a text file with their numbers from 1, as arrays that are not empty.

    With `reader.multiline` a line is a CSV record and has the number of its first line. A file of the format jsonl that
    is one JSON list, or whose objects extend over several lines, has one line per element or object.

    Raises InputError if a line is too long, or if a JSON list or document is malformed.
    """
    if reader.format == "jsonl" and _DOCUMENTS.match(stream.peek(HEAD_BYTES)[:HEAD_BYTES]):
        return _numbered(enumerate(_json_documents(stream, label, reader.encoding), 1))
    lines = _lines(stream, label, reader.encoding)
    return _numbered(_csv_records(lines, reader)) if reader.multiline else _counted(lines)


def _counted(lines: Iterable[pa.StringArray]) -> Iterator[NumberedTexts]:
    number = 1
    for texts in lines:
        yield np.arange(number, number + len(texts)), texts
        number += len(texts)


def _numbered(records: Iterable[tuple[int, str]]) -> Iterator[NumberedTexts]:
    """Yield numbered texts in arrays of about BLOCK_BYTES."""
    numbers: list[int] = []
    texts: list[str] = []
    characters = 0
    for number, text in records:
        numbers.append(number)
        texts.append(text)
        characters += len(text)
        if characters > BLOCK_BYTES:
            yield np.array(numbers), pa.array(texts, pa.string())
            numbers, texts, characters = [], [], 0
    if texts:
        yield np.array(numbers), pa.array(texts, pa.string())


def _lines(stream: IO[bytes], label: str, encoding: str) -> Iterator[pa.StringArray]:
    """Yield the lines of a text file as arrays, none of them empty: the lines that end in the same block of bytes."""
    parts: list[bytes] = []  # of the line whose end has not been read yet
    length = count = 0
    while block := stream.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        length += block.find(b"\n") if end else len(block)
        if length > MAX_LINE_BYTES:
            raise InputError(
                f"{label}: line {count + 1} is longer than {MAX_LINE_BYTES >> 20} MiB; expected one event per line. "
                f"Do its lines not end with a newline? Nothing of it was landed"
            )
        if not end:
            parts.append(block)
            continue
        lines = _split_lines(b"".join([*parts, block[:end]]), encoding, is_start=count == 0)
        yield lines
        parts, length, count = [block[end:]], len(block) - end, count + len(lines)
    if any(parts):
        yield _split_lines(b"".join([*parts, b"\n"]), encoding, is_start=count == 0)


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


def _csv_records(lines: Iterable[pa.StringArray], reader: Reader) -> Iterator[tuple[int, str]]:
    """Yield CSV records with the number of their first line.

    A quote that is not closed within MAX_RECORD_LINES begins no record: its line stands alone.
    """
    numbered = enumerate(chain.from_iterable(texts.to_pylist() for texts in lines), 1)
    again: list[tuple[int, str]] = []  # lines to read once more, the next one last
    while line := again.pop() if again else next(numbered, None):
        record, characters = [line], len(line[1])
        is_comment = reader.comment and line[1].startswith(reader.comment)
        is_open = not is_comment and _ends_in_quotes(line[1], False, reader)
        while is_open and len(record) < MAX_RECORD_LINES and characters < MAX_LINE_BYTES // 4:
            line = again.pop() if again else next(numbered, None)
            if line is None:
                break
            record.append(line)
            characters += len(line[1])
            is_open = _ends_in_quotes(line[1], True, reader)
        if is_open:
            again += record[:0:-1]
            record = record[:1]
        yield record[0][0], "\n".join(text for _, text in record)


def _ends_in_quotes(line: str, is_quoted: bool, reader: Reader) -> bool:
    """Return whether a quoted value is open at the end of a line. is_quoted: whether one is open at its start."""
    if not is_quoted and '"' not in line:
        return False
    place = 0
    while True:
        if is_quoted or line.startswith('"', place):
            place += not is_quoted
            while True:
                close = line.find('"', place)
                if close < 0:
                    return True
                if reader.escape == "\\" and (close - len(line[place:close].rstrip("\\")) - place) % 2:
                    place = close + 1
                elif line.startswith('""', close) and reader.escape != "\\":
                    place = close + 2
                else:
                    break
            place, is_quoted = close + 1, False
        following = line.find(reader.delimiter, place)
        if following < 0:
            return False
        place = following + len(reader.delimiter)


def _json_documents(stream: IO[bytes], label: str, encoding: str) -> Iterator[str]:
    """Yield the elements of JSON lists and the JSON documents that follow each other, each on one line.

    Only white space at line breaks is removed, so numbers keep their digits.
    """
    decode = codecs.getincrementaldecoder(encoding)("backslashreplace").decode
    scan = json.JSONDecoder().raw_decode
    text, place, count, depth, is_end = "", 0, 0, 0, False
    while True:
        place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]  # it matches an empty text
        sign = text[place : place + 1]
        if (sign, depth) in (("[", 0), ("]", 1)):
            depth, place = 1 - depth, place + 1
            continue
        problem = "its list is not closed" if depth else ""
        if sign:
            try:
                _, end = scan(text, place)
            except ValueError as error:
                problem = f"{str(error).split(':')[0]}, near {text[place : place + 60]!r}"
            else:
                if is_end or end < len(text):  # else it may be the first part of a number
                    count += 1
                    yield _BREAK.sub("", text[place:end])
                    place = end
                    continue
        if is_end and not problem:
            return
        if is_end or len(text) - place > MAX_LINE_BYTES:
            raise InputError(
                f"{label}: element {count + 1} is no JSON: {problem}; expected a list of JSON objects, JSON objects "
                f"one after another, or one JSON object per line. Nothing of it was landed"
            )
        block = stream.read(BLOCK_BYTES)
        is_end = not block
        text, place = text[place:] + decode(block, is_end), 0
