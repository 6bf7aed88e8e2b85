"""Maintenance of the tables: merge small files, expire snapshots that no kept release names, delete orphan files."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Row, SparkSession

from pipeline.warehouse.names import BRANCH_PREFIX, NIGHT_TABLES
from pipeline.warehouse.tables import table
from pipeline.warehouse.writes import releases_in_order

RELEASES = "releases"
READER_HOURS = 48  # the longest that a query or a training holds a release which is replaced meanwhile
ORPHAN_DAYS = 3  # no commit takes longer
SMALL_FILES = 5  # in a partition; fewer are not merged
PROPERTIES = {"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "20"}


@dataclass(frozen=True)
class Maintained:
    """What was done to a table: files merged, snapshots before and after, files deleted."""

    name: str
    merged_files: int
    snapshots_before: int
    snapshots_after: int
    deleted_files: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.snapshots_before:,} snapshots before, {self.snapshots_after:,} after; "
            f"{self.merged_files:,} small files merged, {self.deleted_files:,} files deleted"
        )


def first_kept_day(releases: Sequence[Row], keep_days: int) -> date:
    """Return the first of the `keep_days` days through the newest release. releases: some, the current one last."""
    newest: date = releases[-1].as_of
    return newest - timedelta(days=keep_days - 1)


def kept_snapshots(releases: Sequence[Row], keep_days: int, now: datetime) -> Mapping[str, set[int]]:
    """Return by table the snapshots that have to stay.

    These are of the newest release, of the newest one of each day within `keep_days` of it, and of those that a reader
    may still hold.

    releases: rows of the table `releases`, the current one last; `published_at` and `now` in UTC without a zone.
    """
    if not releases:
        return {}
    newest_of_day: dict[date, Row] = {one.as_of: one for one in releases}
    first = first_kept_day(releases, keep_days)
    kept = [releases[-1], *(one for day, one in newest_of_day.items() if day >= first)]
    kept += [one for one in releases if one.published_at >= now - timedelta(hours=READER_HOURS)]
    by_table: dict[str, set[int]] = defaultdict(set)
    for one in kept:
        for name, snapshot in one.snapshots.items():
            by_table[name].add(snapshot)
    return by_table


def maintain_tables(spark: SparkSession, keep_days: int) -> Iterable[Maintained]:
    """Maintain each table in turn. The caller holds the lease, so no run writes.

    If a run that is not published is left, nothing is merged: its branches could not become main afterwards.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    kept = kept_snapshots(releases_in_order(spark), keep_days, now)
    names = [*NIGHT_TABLES, RELEASES]
    refs = {name: spark.table(f"{table(name)}.refs").collect() for name in names}
    is_left = any(ref["name"].startswith(BRANCH_PREFIX) for of_table in refs.values() for ref in of_table)
    for name in names:
        yield maintain_table(spark, name, kept.get(name, set()), not is_left, now)


def maintain_table(spark: SparkSession, name: str, kept: Collection[int], is_merged: bool, now: datetime) -> Maintained:
    """Merge small files of a table, expire all snapshots but `kept` and those of its branches, delete orphan files."""
    of_table = f"table => '{table(name)}'"
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in PROPERTIES.items())
    spark.sql(f"ALTER TABLE {table(name)} SET TBLPROPERTIES ({properties})")
    merged = 0
    if is_merged:
        options = f"options => map('min-input-files', '{SMALL_FILES}')"
        merged = spark.sql(f"CALL system.rewrite_data_files({of_table}, {options})").collect()[0][0]
    before = _snapshots(spark, name)
    of_branches = {ref.snapshot_id for ref in spark.table(f"{table(name)}.refs").collect()}
    deleted = expire(spark, name, before - {*kept} - of_branches)
    deleted += remove_orphans(spark, name, now)
    return Maintained(name, merged, len(before), len(_snapshots(spark, name)), deleted)


def expire(spark: SparkSession, name: str, snapshots: Collection[int]) -> int:
    """Expire snapshots of a table by their ids; return how many files were deleted with them."""
    if not snapshots:
        return 0
    ids = ", ".join(f"{one}L" for one in sorted(snapshots))
    # By the ids alone: the default would also expire all that is older than five days.
    call = f"table => '{table(name)}', older_than => TIMESTAMP '1970-01-02 00:00:00', snapshot_ids => ARRAY({ids})"
    return sum(filter(None, spark.sql(f"CALL system.expire_snapshots({call})").collect()[0]))


def remove_orphans(spark: SparkSession, name: str, now: datetime) -> int:
    """Delete the files of a table that no snapshot names and that are older than a commit may take; return how many."""
    since = f"{now - timedelta(days=ORPHAN_DAYS):%Y-%m-%d %H:%M:%S}"
    call = f"table => '{table(name)}', older_than => TIMESTAMP '{since}'"
    return len(spark.sql(f"CALL system.remove_orphan_files({call})").collect())


def _snapshots(spark: SparkSession, name: str) -> set[int]:
    return {row.snapshot_id for row in spark.table(f"{table(name)}.snapshots").select("snapshot_id").collect()}
