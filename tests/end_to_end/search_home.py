"""A search of a whole home for texts. It shares no code with the eraser: it decodes every file and reads every row."""

import gzip
import io
import re
import sqlite3
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import fastavro
import psycopg
import pyarrow.parquet as pq
import zstandard

WORDS = re.compile(r"[A-Za-z0-9_-]{6,}")
BOUND = 15  # characters of a text that a truncated bound of Iceberg leaves as they are
NOT_DECODED = ("jars", "java", "postgres")  # programs; the tables of PostgreSQL are read by SQL


def places_of(home: Path, url: str, words: Collection[str]) -> dict[str, set[str]]:
    """Return for each of the words that occur where they do: a top folder of the home, or `postgres`."""
    wanted, found = set(words), defaultdict(set)
    prefixes = {word[:BOUND]: word for word in wanted if re.fullmatch("[0-9a-f]{64}", word)}
    for place, text in [*_files(home), *_rows(url)]:
        for word in wanted.intersection(WORDS.findall(text)):
            found[word].add(place)
        if place == "warehouse avro":
            for prefix, word in prefixes.items():
                if prefix in text:
                    found[word].add("bounds")
    return found


def files_with(home: Path, words: Collection[str]) -> list[Path]:
    """Return the files of a home in which one of the words occurs, relative to it."""
    return [
        file.relative_to(home) for file in _decodable(home) if not set(words).isdisjoint(WORDS.findall(_text(file)))
    ]


def _files(home: Path) -> Iterator[tuple[str, str]]:
    for file in _decodable(home):
        parts = file.relative_to(home).parts
        where = f"{parts[0]}/{parts[2]}" if parts[0] == "warehouse" and len(parts) > 2 else parts[0]
        if file.suffix == ".avro":
            yield "warehouse avro", _avro(file)
        yield where, _text(file)


def _decodable(home: Path) -> Iterator[Path]:
    for file in sorted(home.rglob("*")):
        if file.relative_to(home).parts[0] not in NOT_DECODED and file.is_file():
            yield file


def _text(file: Path) -> str:
    if file.suffix == ".parquet":
        return repr(pq.ParquetFile(file).read().to_pylist())
    if file.suffix == ".avro":
        return _avro(file)
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    elif file.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    elif zipfile.is_zipfile(file):  # of torch and numpy, too
        with zipfile.ZipFile(file) as archive:
            content = b"\n".join(map(archive.read, archive.namelist()))
    elif content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(file)) as database:
            return "\n".join(database.iterdump())
    return content.decode(errors="replace")


def _avro(file: Path) -> str:
    with file.open("rb") as content:
        return "\n".join(_decoded(record) for record in fastavro.reader(content))


def _decoded(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {_decoded(one)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(map(_decoded, value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _rows(url: str) -> Iterator[tuple[str, str]]:
    """Yield the rows of all tables of all databases of the server."""
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall()
    for (database,) in names:
        with psycopg.connect(urlsplit(url)._replace(path=f"/{database}").geturl()) as connection:
            tables = connection.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN "
                "('pg_catalog', 'information_schema')"
            ).fetchall()
            for (name,) in tables:
                for row in connection.execute(f"SELECT t::text FROM {name} AS t"):
                    yield "postgres", row[0]
