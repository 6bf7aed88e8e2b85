"""Write, audit, publish: a run writes to a branch of each table, and main moves only when all gates have passed.

A table has the branch of a run from the first step on that writes it. Until then its branch reads as main.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.warehouse import run_log
from pipeline.warehouse.names import BRANCH_PREFIX, MAIN, NIGHT_TABLES
from pipeline.warehouse.tables import table

FIRST_WRITTEN = "runs"  # every step writes it, so each run that has ended a step has a branch of it

ATTEMPTS = 3
COMMIT_FAILED = "CommitFailedException"

Refs = Mapping[str, Mapping[str, int]]  # the snapshot id of each branch, by table


def read_refs(spark: SparkSession) -> Refs:
    """Return the snapshot id of each branch of every table."""
    parts = [f"SELECT '{name}' AS name, name AS ref, snapshot_id FROM {table(name)}.refs" for name in NIGHT_TABLES]
    refs: dict[str, dict[str, int]] = defaultdict(dict)
    for row in spark.sql(" UNION ALL ".join(parts)).collect():
        refs[row.name][row.ref] = row.snapshot_id
    return refs


def drop_leftovers(spark: SparkSession) -> Refs:
    """Drop the branches that this run or others left, so that the run starts from main; return the others."""
    refs = read_refs(spark)
    for name, branches in refs.items():
        for leftover in branches:
            if leftover.startswith(BRANCH_PREFIX):
                _drop_branch(spark, name, leftover)
    return {name: {MAIN: branches[MAIN]} for name, branches in refs.items()}


def require_begun(spark: SparkSession, branch: str, run_id: str, day: date) -> Refs:
    """Check that a later step has its branch, or that the run is published already and so begins again from main.

    Returns the branches of all tables.
    Raises InputError if there is no branch and main has no rows of this run: its first step has not ended, or another
    run came in between.
    """
    refs = read_refs(spark)
    if branch not in refs[FIRST_WRITTEN] and day not in run_log.days_cleaned_by(spark, run_id):
        raise InputError(
            f"no branch {branch}: the first step of the run has not ended, or another run came in between; "
            f"run again from `clean`"
        )
    return refs


def create(spark: SparkSession, refs: Refs, tables: Iterable[str], branch: str) -> None:
    """Create the branch of tables from main where it is missing.

    A first write would create it too, but then the totals of rows in the snapshot would begin at 0.
    """
    for name in tables:
        if branch not in refs[name]:
            _alter(spark, f"ALTER TABLE {table(name)} CREATE BRANCH `{branch}` AS OF VERSION {refs[name][MAIN]}")


def fast_forward(spark: SparkSession, refs: Refs, branch: str) -> dict[str, int]:
    """Move main of every table that the run wrote to the branch; return the snapshot id of main of every table.

    It may be repeated after a crash. Readers are not affected: they open the snapshots of a release.

    refs: the branches after the last write of the run.
    """
    for name in NIGHT_TABLES:
        if branch in refs[name] and refs[name][branch] != refs[name][MAIN]:
            spark.sql(f"CALL system.fast_forward('{table(name)}', '{MAIN}', '{branch}')").collect()
    return {name: refs[name].get(branch, refs[name][MAIN]) for name in NIGHT_TABLES}


def drop(spark: SparkSession, refs: Refs, branch: str) -> None:
    """Drop the branch of every table that has it."""
    for name, branches in refs.items():
        if branch in branches:
            _drop_branch(spark, name, branch)


def _drop_branch(spark: SparkSession, name: str, branch: str) -> None:
    _alter(spark, f"ALTER TABLE {table(name)} DROP BRANCH `{branch}`")


def _alter(spark: SparkSession, statement: str) -> None:
    """Alter a table, again if another commit came in between: the last one of a killed command may come late.

    Iceberg itself repeats writes, but not this.
    """
    for attempt in range(ATTEMPTS):
        try:
            spark.sql(statement)
            return
        except Exception as error:
            if COMMIT_FAILED not in str(error) or attempt == ATTEMPTS - 1:
                raise


def table_before(spark: SparkSession, refs: Refs, name: str) -> DataFrame:
    """Return a table as it was before this run."""
    return spark.read.option("versionAsOf", refs[name][MAIN]).table(table(name))


def changed_days(spark: SparkSession, refs: Refs, name: str, column: str, branch: str) -> list[date]:
    """Return the values of a partition column for which the branch of a table has data files that main lacks."""
    now, before = refs[name].get(branch, refs[name][MAIN]), refs[name][MAIN]
    if now == before:
        return []
    of_now, of_before = (spark.read.option("versionAsOf", one).table(f"{table(name)}.files") for one in (now, before))
    added = of_now.join(of_before.select("file_path"), "file_path", "left_anti")
    return [row.day for row in added.select(F.col(f"partition.{column}").alias("day")).distinct().collect()]
