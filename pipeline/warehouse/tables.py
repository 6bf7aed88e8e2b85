"""Names that the terminal, the orchestrator and the jobs agree on, without importing Spark.

The tables, as `sql/ddl` declares them.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.settings import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BRANCH_PREFIX = "night_"


def branch_of(day: date) -> str:
    """Return the branch on which the night of `day` (a range: its last day) works."""
    return f"{BRANCH_PREFIX}{day:%Y%m%d}"


def default_run_id(day: date) -> str:
    """Return the run id under which steps typed one by one in a terminal find each other."""
    return f"terminal_{day:%Y%m%d}"


def clusters_run_id(through: date) -> str:
    """Return the run id under which item clusters are trained, by default."""
    return f"clusters_{through:%Y%m%d}"


def require_run_id(run_id: str) -> str:
    """Return a run id that can name a folder. Raises UsageError saying what it may be made of."""
    if not run_id or not all(letter.isalnum() or letter in "_.-" for letter in run_id):
        raise UsageError(f"run id {run_id!r}: expected letters, digits and _ . - only")
    return run_id


NAMESPACE = "interest"
# Written on the branch of a night and published together.
NIGHT_TABLES = (
    "events", "rejects", "items", "item_clusters", "device_users", "sessions", "sequences", "profiles", "runs",
)  # fmt: skip
DDL = ROOT / "sql" / "ddl"


def table(name: str) -> str:
    return f"{NAMESPACE}.{name}"


def ddl_files() -> list[Path]:
    return sorted(DDL.glob("*.sql"))


def create_tables(spark: "SparkSession") -> None:
    """Create the namespace and the tables that are not there yet, each with a first, empty snapshot to branch from."""
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {NAMESPACE}")
    there = {row.tableName for row in spark.sql(f"SHOW TABLES IN {NAMESPACE}").collect()}
    for file in ddl_files():
        if file.stem not in there:
            spark.sql(file.read_text())
            spark.table(table(file.stem)).limit(0).writeTo(table(file.stem)).append()
