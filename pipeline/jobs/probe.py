"""Try what each step does with tables, on a table of its own: create, write, read, branch, publish, drop.

python -m pipeline.jobs probe
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pyspark.sql import SparkSession

from pipeline.analyst.release import open_catalog
from pipeline.errors import ThroughlineError, describe, exit_with_message
from pipeline.settings import load_settings
from pipeline.warehouse.session import open_session

NAMESPACE = "throughline_probe"  # not that of the tables, so that no query takes it for one of them
ROWS = 100


def main(arguments: Sequence[str] | None = None) -> None:
    with open_session(load_settings(), "probe") as spark:
        probe(spark)


def probe(spark: SparkSession) -> None:
    """Print a line about each part with its seconds; leave no table.

    Raises ThroughlineError that names the part that failed.
    """
    name = f"p{uuid.uuid4().hex[:12]}"
    table, branch = f"{NAMESPACE}.{name}", f"{NAMESPACE}.{name}.branch_probe"
    with _tried("submit"):
        assert spark.range(0, 1000, 1, 4).selectExpr("sum(id) AS total").collect()[0].total == 499500
    try:
        with _tried("create"):
            spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {NAMESPACE}")
            spark.sql(f"CREATE TABLE {table} (id BIGINT) USING iceberg")
        with _tried("write"):
            spark.range(ROWS).writeTo(table).append()
        with _tried("read by Spark"):
            _require(spark.table(table).count(), ROWS)
        with _tried("read by PyIceberg"):
            _require(open_catalog().load_table((NAMESPACE, name)).scan().to_arrow().num_rows, ROWS)
        with _tried("branch"):
            spark.sql(f"ALTER TABLE {table} CREATE BRANCH `probe`")
            spark.range(ROWS).writeTo(branch).append()
            _require(spark.table(branch).count(), 2 * ROWS)
            _require(spark.table(table).count(), ROWS)
        with _tried("publish"):
            spark.sql(f"CALL system.fast_forward('{table}', 'main', 'probe')").collect()
            _require(spark.table(table).count(), 2 * ROWS)
        with _tried("drop"):
            spark.sql(f"DROP TABLE {table} PURGE")
    finally:
        with suppress(Exception):
            spark.sql(f"DROP TABLE IF EXISTS {table} PURGE")
            spark.sql(f"DROP NAMESPACE {NAMESPACE}")


@contextmanager
def _tried(part: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    except Exception as error:
        why = str(error) if isinstance(error, ThroughlineError) else describe(error)
        raise ThroughlineError(f"{part} failed: {why}") from error
    print(f"{part} {time.monotonic() - started:.1f} s", flush=True)


def _require(found: int, expected: int) -> None:
    if found != expected:
        raise ThroughlineError(f"found {found} rows, expected {expected}: does the catalog keep branches?")


if __name__ == "__main__":
    with exit_with_message():
        main()
