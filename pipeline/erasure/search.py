"""The search for people by their pseudonyms and session ids: in the files of a home, and in its PostgreSQL."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from pipeline.erasure import FOLDER
from pipeline.local import postgres
from pipeline.settings import Settings
from throughline.stores import content_of

# Not searched: what the search of tables and landed lines covers, programs, and the journal itself.
NOT_SEARCHED = {"landing", "warehouse", "postgres", "jars", "java", FOLDER, "engine", "conf"}
HASHES = re.compile(rb"[0-9a-f]{32,64}")
OVERLAP = 64
CHUNK = 8 << 20
TABLES = """
    SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


def files_with(home: Path, names: Collection[bytes]) -> Iterator[Path]:
    """Yield the files of the home, but for NOT_SEARCHED, that contain one of these names, see `names_one`."""
    for top in sorted(home.iterdir()):
        if top.name in NOT_SEARCHED or top.is_symlink():
            continue
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and not file.is_symlink() and names_one(file, names):
                yield file


def names_one(file: Path, names: Collection[bytes]) -> bool:
    """Return whether a file contains one of these hexadecimal names; a Parquet file is decoded."""
    if file.suffix == ".parquet":
        with pq.ParquetFile(content_of(file)) as content:
            return any(_has(batch, names) for batch in content.iter_batches())
    with file.open("rb") as content:
        tail = b""
        while chunk := content.read(CHUNK):
            if has_name(tail + chunk, names):
                return True
            tail = chunk[-OVERLAP:]
    return False


def _has(batch: pa.RecordBatch, names: Collection[bytes]) -> bool:
    return has_name(repr(batch.to_pylist()).encode(), names)


def rows_with(settings: Settings, names: Collection[bytes]) -> Iterator[str]:
    """Yield the table of each row of the local PostgreSQL, Airflow's database included, that has one of these names."""
    with psycopg.connect(postgres.url(settings, "postgres")) as server:
        databases = server.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall()
    for (database,) in databases:
        with psycopg.connect(postgres.url(settings, database)) as connection:
            for place in connection.execute(TABLES).fetchall():
                rows = sql.SQL("SELECT t::text FROM {} AS t WHERE t::text ~ '[0-9a-f]{{32}}'")
                with connection.cursor("rows") as cursor:  # reads a part of the rows at a time
                    for (row,) in cursor.execute(rows.format(sql.Identifier(*place))):
                        if has_name(row.encode(), names):
                            yield ".".join([database, *place])


def has_name(text: bytes, names: Collection[bytes]) -> bool:
    """Return whether one of these hexadecimal names stands in a text."""
    return any(one in names for one in HASHES.findall(text))
