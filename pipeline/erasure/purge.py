"""What held the erased people besides the rows of today: old snapshots and their files, and files of the home."""

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.erasure.tombstones import FOLDER
from pipeline.settings import Settings
from pipeline.transforms.union import union
from pipeline.warehouse.maintenance import maintain_table
from pipeline.warehouse.names import NIGHT_TABLES
from pipeline.warehouse.tables import NAMESPACE, table

DELETED = 2  # status of an entry of a manifest whose file is gone; the entry still holds the bounds of its columns
# Not searched: what the search of tables and landed lines covers, programs, and the journal itself.
NOT_SEARCHED = {"landing", "warehouse", "postgres", "jars", "java", FOLDER, "engine", "conf"}
HASHES = re.compile(rb"[0-9a-f]{32,64}")
OVERLAP = 64
CHUNK = 8 << 20


@dataclass(frozen=True)
class Purged:
    """Snapshots expired and files removed of a table."""

    snapshots: int
    files: int


def forget_old_entries(spark: SparkSession, name: str) -> None:
    """Rewrite the manifests of a table so that none has the bounds of a deleted file. Call it before the release."""
    if not _deleted_entries(spark, name):
        return
    _rewrite_manifests(spark, name)
    if _deleted_entries(spark, name):  # Iceberg leaves a single manifest as it is, so the table gets another one
        options = "options => map('rewrite-all', 'true')"
        spark.sql(f"CALL system.rewrite_data_files(table => '{table(name)}', {options})").collect()
        _rewrite_manifests(spark, name)


def expire_all_but_newest(spark: SparkSession, settings: Settings, name: str, newest: int | None) -> Purged:
    """Expire all snapshots of a table but that of the newest release, and remove all files that no snapshot names.

    The caller holds the lease, so that no file is of a running commit. In a remote catalog, files that no snapshot ever
    named stay until they are three days old.
    """
    kept = {newest} if newest is not None else set()
    done = maintain_table(spark, name, kept, False, datetime.now(UTC).replace(tzinfo=None))
    files = done.deleted_files
    folder = settings.home / "warehouse" / NAMESPACE / name
    if settings.uses_local_catalog and folder.is_dir():
        named = _named_files(spark, name)
        for file in [one for one in folder.rglob("*") if one.is_file()]:
            # Hadoop writes a checksum .NAME.crc beside each file.
            of = file.name.removeprefix(".").removesuffix(".crc") if file.suffix == ".crc" else file.name
            if of not in named:
                file.unlink()
                files += 1
    return Purged(done.snapshots_before - done.snapshots_after, files)


def live_files(spark: SparkSession) -> dict[str, dict[str, int]]:
    """Return the bytes of each data file of main, by table."""
    return {
        name: {row.file_path: row.file_size_in_bytes for row in _metadata(spark, name, "files").collect()}
        for name in NIGHT_TABLES
    }


def remove_working_files(settings: Settings) -> int:
    """Delete what commands hand over or leave behind: staging, exchange folders and the state of trainings.

    The caller holds the locks of all sources. A training that runs meanwhile fails, and starts again from the tables.
    """
    removed = 0
    for folder in (settings.home / "staging", settings.home / "exchange"):
        for one in folder.glob("*"):
            if one.suffix == ".lock":
                continue
            removed += sum(file.is_file() for file in one.rglob("*")) if one.is_dir() else 1
            if one.is_dir():
                shutil.rmtree(one)
            else:
                one.unlink()
    return removed


def remove_mentions(home: Path, names: Collection[bytes]) -> list[str]:
    """Delete pages, exports and other files of the home that name one of these; of logs and histories, only the lines.

    names: pseudonyms and session ids. Returns the folders of the files, one entry a file.
    """
    found = []
    for file in list(files_with(home, names)):
        folder = file.relative_to(home).parts[0]
        if folder in ("logs", "sql_history"):
            _remove_lines(file, names)
        elif folder != "mlruns":  # a record of a training; the search at the end would report it
            file.unlink()
        found.append(folder)
    return found


def files_with(home: Path, names: Collection[bytes]) -> Iterator[Path]:
    """Yield the files of the home, but for NOT_SEARCHED, that contain one of these hexadecimal names.

    Parquet files are decoded.
    """
    for top in sorted(home.iterdir()):
        if top.name in NOT_SEARCHED or top.is_symlink():
            continue
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and not file.is_symlink() and _names_one(file, names):
                yield file


def _names_one(file: Path, names: Collection[bytes]) -> bool:
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as content:
            return any(_has(batch, names) for batch in content.iter_batches())
    with file.open("rb") as content:
        tail = b""
        while chunk := content.read(CHUNK):
            if any(one in names for one in HASHES.findall(tail + chunk)):
                return True
            tail = chunk[-OVERLAP:]
    return False


def _has(batch: pa.RecordBatch, names: Collection[bytes]) -> bool:
    return any(one in names for one in HASHES.findall(repr(batch.to_pylist()).encode()))


def _remove_lines(file: Path, names: Collection[bytes]) -> None:
    """Remove lines in place, since processes may hold the file open to append."""
    with file.open("r+b") as content:
        kept = [line for line in content if not any(one in names for one in HASHES.findall(line))]
        content.seek(0)
        content.truncate()
        content.writelines(kept)


def _deleted_entries(spark: SparkSession, name: str) -> int:
    return int(_metadata(spark, name, "entries").where(F.col("status") == DELETED).count())


def _rewrite_manifests(spark: SparkSession, name: str) -> None:
    spark.sql(f"CALL system.rewrite_manifests(table => '{table(name)}')").collect()


def _named_files(spark: SparkSession, name: str) -> set[str]:
    """Return the names of all files that the metadata of a table names."""
    columns: Mapping[str, str] = {
        "all_data_files": "file_path",
        "all_delete_files": "file_path",
        "all_manifests": "path",
        "snapshots": "manifest_list",
        "metadata_log_entries": "file",
    }
    paths = [_metadata(spark, name, of).select(F.col(column).alias("path")) for of, column in columns.items()]
    found = {row.path.rsplit("/", 1)[-1] for row in union(paths).distinct().collect()}
    return found | {"version-hint.text"}


def _metadata(spark: SparkSession, name: str, of: str) -> DataFrame:
    return spark.table(f"{table(name)}.{of}")
