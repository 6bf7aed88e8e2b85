"""What held the erased people besides the rows of today: old snapshots and their files, and files of the home."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.erasure.search import files_with, has_name
from pipeline.landing.zone import SHARED_STAGING
from pipeline.settings import Settings
from pipeline.transforms.union import union
from pipeline.warehouse.maintenance import RELEASES, expire, remove_orphans
from pipeline.warehouse.names import NIGHT_TABLES
from pipeline.warehouse.tables import NAMESPACE, table
from throughline.stores import remove_folder

DELETED = 2  # status of an entry of a manifest whose file is gone; the entry still holds the bounds of its columns


Note = Callable[[Path], None]  # is called with each file before it is changed or deleted


@dataclass(frozen=True)
class TableState:
    """Data files and snapshots of a table. live: bytes of each data file of main by its path. files: the paths of the
    data files of all snapshots. snapshots: their ids.
    """

    live: Mapping[str, int]
    files: Sequence[str]
    snapshots: Sequence[int]


def forget_old_entries(spark: SparkSession, names: Sequence[str]) -> None:
    """Rewrite the manifests of tables so that none has the bounds of a deleted file. Call it before the release."""
    for name in _with_deleted_entries(spark, names):
        _rewrite_manifests(spark, name)
    # Iceberg leaves a single manifest as it is, so these tables get another one.
    for name in _with_deleted_entries(spark, names):
        options = "options => map('rewrite-all', 'true')"
        spark.sql(f"CALL system.rewrite_data_files(table => '{table(name)}', {options})").collect()
        _rewrite_manifests(spark, name)


def expire_all_but_newest(spark: SparkSession, settings: Settings, newest: Mapping[str, int]) -> tuple[int, int]:
    """Expire all snapshots but those of the newest release, and remove all files that no snapshot names.

    Returns how many snapshots and files these were.

    The caller holds the lease, so that no file is of a running commit. In a remote catalog, files that no snapshot ever
    named stay until they are three days old.
    """
    names = [*NIGHT_TABLES, RELEASES]
    found = _of_tables(spark, names, "snapshots", ["snapshot_id"])
    kept = {(row.name, row.snapshot_id) for row in _of_tables(spark, names, "refs", ["snapshot_id"]).collect()}
    kept |= {(name, snapshot) for name, snapshot in newest.items()}
    old = [(row.name, row.snapshot_id) for row in found.collect() if (row.name, row.snapshot_id) not in kept]
    ids = {name: [snapshot for of, snapshot in old if of == name] for name in names}
    files = sum(expire(spark, name, ids[name]) for name in names)
    if settings.uses_local_catalog:
        for name, named in _named_files(spark, names).items():
            files += _remove_unnamed(settings.home / "warehouse" / NAMESPACE / name, named)
    else:
        now = datetime.now(UTC).replace(tzinfo=None)
        files += sum(remove_orphans(spark, name, now) for name in names)
    return len(old), files


def table_states(spark: SparkSession) -> dict[str, TableState]:
    """Return the data files and snapshots of each table."""
    live: dict[str, dict[str, int]] = {name: {} for name in NIGHT_TABLES}
    for row in _of_tables(spark, NIGHT_TABLES, "files", ["file_path", "file_size_in_bytes"]).collect():
        live[row.name][row.file_path] = row.file_size_in_bytes
    files: dict[str, set[str]] = {name: set() for name in NIGHT_TABLES}
    for row in _of_tables(spark, NIGHT_TABLES, "all_data_files", ["file_path"]).distinct().collect():
        files[row.name].add(row.file_path)
    snapshots: dict[str, list[int]] = {name: [] for name in NIGHT_TABLES}
    for row in _of_tables(spark, NIGHT_TABLES, "snapshots", ["snapshot_id"]).collect():
        snapshots[row.name].append(row.snapshot_id)
    return {name: TableState(live[name], sorted(files[name]), snapshots[name]) for name in NIGHT_TABLES}


def remove_working_files(settings: Settings, note: Note) -> None:
    """Delete what commands hand over or leave behind: staging, exchange folders and the state of trainings.

    Of an exchange folder outside of the home only the runs go, since it may hold other files.

    The caller holds the locks of all sources. A training that runs meanwhile fails, and starts again from the tables.
    """
    folders = (settings.home / "staging", settings.home / "exchange", settings.landing_folder / SHARED_STAGING)
    working = [one for folder in folders for one in folder.glob("*")]
    if settings.exchange:
        runs = settings.exchange_folder.glob("*")
        working += [run for run in runs if (run / "manifest.json").is_file() or (run / "profiles").is_dir()]
    working += settings.checkpoints_folder.glob("*")
    for one in working:
        if one.suffix == ".lock":
            continue
        for file in [one] if one.is_file() else [file for file in one.rglob("*") if file.is_file()]:
            note(file)
        if one.is_dir():
            remove_folder(one)
        else:
            one.unlink()


def remove_mentions(home: Path, names: Collection[bytes], note: Note) -> None:
    """Delete pages, exports and other files of the home that name one of these; of logs and histories, only the lines.

    names: pseudonyms and session ids.
    """
    for file in list(files_with(home, names)):
        note(file)
        folder = file.relative_to(home).parts[0]
        if folder in ("logs", "sql_history"):
            _remove_lines(file, names)
        elif folder != "mlruns":  # a record of a training; the search at the end would report it
            file.unlink()


def _remove_lines(file: Path, names: Collection[bytes]) -> None:
    """Remove lines in place, since processes may hold the file open to append."""
    with file.open("r+b") as content:
        kept = [line for line in content if not has_name(line, names)]
        content.seek(0)
        content.truncate()
        content.writelines(kept)


def _with_deleted_entries(spark: SparkSession, names: Sequence[str]) -> list[str]:
    """Return the tables of whose manifests one has an entry of a deleted file."""
    found = _of_tables(spark, names, "entries", ["status"]).where(F.col("status") == DELETED)
    return sorted(row.name for row in found.select("name").distinct().collect())


def _rewrite_manifests(spark: SparkSession, name: str) -> None:
    spark.sql(f"CALL system.rewrite_manifests(table => '{table(name)}')").collect()


def _named_files(spark: SparkSession, names: Sequence[str]) -> dict[str, set[str]]:
    """Return the names of all files that the metadata of each table names."""
    columns = {
        "all_data_files": "file_path",
        "all_delete_files": "file_path",
        "all_manifests": "path",
        "snapshots": "manifest_list",
        "metadata_log_entries": "file",
    }
    paths = union([_of_tables(spark, names, of, [f"{column} AS path"]) for of, column in columns.items()])
    named = {name: {"version-hint.text"} for name in names}
    for row in paths.distinct().collect():
        named[row.name].add(row.path.rsplit("/", 1)[-1])
    return named


def _remove_unnamed(folder: Path, named: Collection[str]) -> int:
    """Delete the files of a table's folder whose names are not among these; return how many."""
    removed = 0
    for file in [one for one in folder.rglob("*") if one.is_file()]:
        # Hadoop writes a checksum .NAME.crc beside each file.
        of = file.name.removeprefix(".").removesuffix(".crc") if file.suffix == ".crc" else file.name
        if of not in named:
            file.unlink()
            removed += 1
    return removed


def _of_tables(spark: SparkSession, names: Sequence[str], of: str, columns: Sequence[str]) -> DataFrame:
    """Return columns of a metadata table of several tables in one query, and the `name` of the table."""
    return union([spark.table(f"{table(name)}.{of}").selectExpr(f"'{name}' AS name", *columns) for name in names])
