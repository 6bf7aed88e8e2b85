"""The days that a run wrote on its branch, found from the files of real Iceberg tables."""

from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import functions as F

from pipeline.transforms.rows import frame_of_rows
from pipeline.warehouse.branches import changed_days
from pipeline.warehouse.tables import table

FIRST = date(2026, 1, 1)
BRANCH = "night_20260104"


def rows(spark: Any, *days: int) -> Any:
    return frame_of_rows(spark, [(FIRST + timedelta(days=day), day) for day in days], "started_on DATE, number INT")


@pytest.fixture
def visits(iceberg: Any) -> Any:
    """A table of three days on main."""
    iceberg.sql("CREATE NAMESPACE interest")
    iceberg.sql(
        f"CREATE TABLE {table('visits')} (started_on DATE, number INT) USING iceberg PARTITIONED BY (started_on) "
        f"TBLPROPERTIES ('write.wap.enabled' = 'true')"
    )
    rows(iceberg, 0, 1, 2).writeTo(table("visits")).append()
    return iceberg


def main_of(spark: Any) -> int:
    [ref] = spark.table(f"{table('visits')}.refs").where("name = 'main'").collect()
    return int(ref.snapshot_id)


def test_a_branch_without_a_write_has_no_changed_days(visits: Any) -> None:
    assert changed_days(visits, {"visits": {"main": main_of(visits)}}, "visits", "started_on", BRANCH) == []


def test_rewritten_and_new_days_have_changed(visits: Any) -> None:
    before = main_of(visits)
    is_replaced = F.col("started_on").isin(FIRST + timedelta(days=1), FIRST + timedelta(days=3))
    rows(visits, 1, 3).writeTo(table("visits")).overwrite(is_replaced)
    # The session lacks Iceberg's extensions, so it cannot write to a branch: main goes back instead.
    util = visits._jvm.org.apache.iceberg.spark.Spark3Util
    change = util.loadIcebergTable(visits._jsparkSession, table("visits")).manageSnapshots()
    refs = {"visits": {"main": before, BRANCH: main_of(visits)}}
    change.createBranch(BRANCH, refs["visits"][BRANCH]).rollbackTo(before).commit()
    assert sorted(row.number for row in visits.table(table("visits")).collect()) == [0, 1, 2]
    found = changed_days(visits, refs, "visits", "started_on", BRANCH)
    assert sorted(day.day for day in found) == [2, 4]
