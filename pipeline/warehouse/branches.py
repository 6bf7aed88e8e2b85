"""Write, audit, publish: a night works on a branch of each table, and main moves only when all gates have passed."""

from datetime import date

from pyspark.sql import DataFrame, SparkSession

from pipeline.errors import InputError
from pipeline.warehouse import runs
from pipeline.warehouse.names import BRANCH_PREFIX
from pipeline.warehouse.tables import NIGHT_TABLES, table

CATALOG = "throughline"


def make_anew(spark: SparkSession, branch: str) -> None:
    """Branch every table from main, and drop what other nights left behind."""
    for name in NIGHT_TABLES:
        for leftover in _branches(spark, name):
            spark.sql(f"ALTER TABLE {table(name)} DROP BRANCH `{leftover}`")
        spark.sql(f"ALTER TABLE {table(name)} CREATE BRANCH `{branch}`")


def resume(spark: SparkSession, branch: str, run_id: str, day: date) -> None:
    """See that a later step has its branch. One of a night that is published already goes on from main.

    Raises InputError if there is no branch and main has nothing of this run: its first step has not run, or another
    night ran since.
    """
    missing = [name for name in NIGHT_TABLES if branch not in _branches(spark, name)]
    if not missing:
        return
    if day not in runs.days_of_run(spark, "clean", run_id):
        raise InputError(
            f"no branch {branch} of {', '.join(missing)}: the night's first step has not run, or another night ran "
            f"since; run the night again from `clean`"
        )
    make_anew(spark, branch)


def fast_forward(spark: SparkSession, branch: str) -> dict[str, int]:
    """Move main of every table to the branch; return the snapshot id of each.

    Repeating it after a crash is harmless. Readers see nothing of it: they open the snapshots of a release.
    """
    for name in NIGHT_TABLES:
        spark.sql(f"CALL {CATALOG}.system.fast_forward('{table(name)}', 'main', '{branch}')")
    return {name: snapshot_id(spark, name, "main") for name in NIGHT_TABLES}


def drop(spark: SparkSession, branch: str) -> None:
    for name in NIGHT_TABLES:
        spark.sql(f"ALTER TABLE {table(name)} DROP BRANCH IF EXISTS `{branch}`")


def snapshot_id(spark: SparkSession, name: str, ref: str) -> int:
    row = spark.sql(f"SELECT snapshot_id FROM {table(name)}.refs WHERE name = '{ref}'").first()
    assert row is not None, f"{name} has no ref {ref}"
    return int(row.snapshot_id)


def table_before(spark: SparkSession, name: str) -> DataFrame:
    """Read a table as it was before this night began."""
    return spark.read.option("versionAsOf", snapshot_id(spark, name, "main")).table(table(name))


def _branches(spark: SparkSession, name: str) -> list[str]:
    rows = spark.sql(
        f"SELECT name FROM {table(name)}.refs WHERE type = 'BRANCH' AND name LIKE '{BRANCH_PREFIX}%'"
    ).collect()
    return [row.name for row in rows]
