"""The tables, as `sql/ddl` declares them."""

from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.settings import ROOT

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


def create_tables(spark: SparkSession) -> None:
    """Create the namespace and the tables that are not there yet, each with a first, empty snapshot to branch from."""
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {NAMESPACE}")
    there = {row.tableName for row in spark.sql(f"SHOW TABLES IN {NAMESPACE}").collect()}
    for file in ddl_files():
        if file.stem not in there:
            spark.sql(file.read_text())
            spark.table(table(file.stem)).limit(0).writeTo(table(file.stem)).append()
