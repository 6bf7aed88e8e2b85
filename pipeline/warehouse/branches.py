"""Write, audit, publish: a run writes to a branch of each table, and main moves only when all gates have passed."""

from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.warehouse import run_log
from pipeline.warehouse.names import BRANCH_PREFIX, NIGHT_TABLES
from pipeline.warehouse.tables import table

MAIN = "main"


def recreate(spark: SparkSession, branch: str) -> None:
    """Create the branch of every table from main, and drop branches that other runs left."""
    for name in NIGHT_TABLES:
        refs, change = _refs(spark, name), _loaded(spark, name).manageSnapshots()
        for leftover in refs:
            if leftover.startswith(BRANCH_PREFIX):
                change.removeBranch(leftover)
        change.createBranch(branch, refs[MAIN])
        change.commit()


def resume(spark: SparkSession, branch: str, run_id: str, day: date) -> None:
    """Check that a later step has its branch. If the run is published already, create the branch from main again.

    Raises InputError if there is no branch and main has no rows of this run: its first step has not run, or another
    run came in between.
    """
    missing = [name for name in NIGHT_TABLES if branch not in _refs(spark, name)]
    if not missing:
        return
    if day not in run_log.days_of_run(spark, "clean", run_id):
        raise InputError(
            f"no branch {branch} of {', '.join(missing)}: the first step of the run has not ended, or another run "
            f"came in between; run again from `clean`"
        )
    recreate(spark, branch)


def fast_forward(spark: SparkSession, branch: str) -> dict[str, int]:
    """Move main of every table to the branch; return the snapshot id of each.

    It may be repeated after a crash. Readers are not affected: they open the snapshots of a release.
    """
    for name in NIGHT_TABLES:
        change = _loaded(spark, name).manageSnapshots()
        change.fastForwardBranch(MAIN, branch)
        change.commit()
    return {name: _refs(spark, name)[MAIN] for name in NIGHT_TABLES}


def drop(spark: SparkSession, branch: str) -> None:
    for name in NIGHT_TABLES:
        if branch in _refs(spark, name):
            change = _loaded(spark, name).manageSnapshots()
            change.removeBranch(branch)
            change.commit()


def table_before(spark: SparkSession, name: str) -> DataFrame:
    """Return a table as it was before this run."""
    return spark.read.option("versionAsOf", _refs(spark, name)[MAIN]).table(table(name))


def changed_days(spark: SparkSession, name: str, column: str, branch: str) -> list[date]:
    """Return the values of a partition column for which the branch of a table has data files that main lacks."""
    refs = {row.name: row.snapshot_id for row in spark.table(f"{table(name)}.refs").collect()}
    now, before = refs.get(branch, refs[MAIN]), refs[MAIN]
    if now == before:
        return []
    of_now, of_before = (spark.read.option("versionAsOf", one).table(f"{table(name)}.files") for one in (now, before))
    added = of_now.join(of_before.select("file_path"), "file_path", "left_anti")
    return [row.day for row in added.select(F.col(f"partition.{column}").alias("day")).distinct().collect()]


def _refs(spark: SparkSession, name: str) -> dict[str, int]:
    """Return the snapshot id of each branch and tag of a table."""
    refs = _loaded(spark, name).refs()
    return {str(ref): int(refs[ref].snapshotId()) for ref in refs}


def _loaded(spark: SparkSession, name: str) -> Any:
    """Return the table as Iceberg's Java object. Its refs cost one file to read; SQL would cost a Spark job."""
    jvm: Any = spark._jvm
    return jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, table(name))
