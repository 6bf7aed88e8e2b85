"""Frames of rows that Python has: their values, and how Spark reads them."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from pipeline.transforms.rows import frame_of_rows

ALL_TYPES = """
    text STRING, bytes BINARY, number BIGINT, share DOUBLE, day DATE, at TIMESTAMP, tags ARRAY<STRING>,
    counts MAP<STRING, BIGINT>, gates ARRAY<STRUCT<name: STRING, is_warning: BOOLEAN>>
"""


def plan_of(frame: Any) -> str:
    return str(frame._jdf.queryExecution().executedPlan().toString())


def test_values_of_all_types_are_read_without_python_workers(spark: Any) -> None:
    at = datetime(2026, 1, 5, 10, 0, 0, 123456, UTC)
    full = ("ä", b"\xff", -(1 << 63), 0.5, date(2026, 1, 5), at, ["a", None], {"a": 1}, [("gate", True)])
    made = frame_of_rows(spark, [full, (None,) * 9], ALL_TYPES)
    read, empty = made.collect()
    assert (*read[:5], read.at.astimezone(UTC), *read[6:8], [tuple(one) for one in read.gates]) == full
    assert tuple(empty) == (None,) * 9
    assert "LocalTableScan" in plan_of(made) and "RDD" not in plan_of(made)
    assert frame_of_rows(spark, [], made.schema).schema == made.schema


@pytest.mark.usefixtures("compiled")
def test_tests_of_compiled_plans_compile_those_of_rows(spark: Any) -> None:
    doubled = frame_of_rows(spark, [(1,), (2,)], "number BIGINT").selectExpr("number * 2 AS doubled")
    assert "*(1) Project" in plan_of(doubled)
    assert [row.doubled for row in doubled.collect()] == [2, 4]
