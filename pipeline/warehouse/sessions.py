"""Write sessions, and count them for `runs`."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.warehouse.runs import StepRow
from pipeline.warehouse.tables import table


def replace_sessions(spark: SparkSession, made: DataFrame, touched: DataFrame) -> DataFrame:
    """Put the sessions made in the place of the touched ones; return all sessions of the days that hold any of them.

    These days are written anew. made, touched: cut loose from the table, which is about to change.
    """
    began = made.select("started_on").unionAll(touched.select("started_on")).distinct().collect()
    sessions = spark.table(table("sessions"))
    is_renewed = F.col("started_on").isin([row.started_on for row in began])
    if not began:
        return sessions.where(is_renewed)
    kept = sessions.where(is_renewed).join(touched.select("session_id"), "session_id", "left_anti")
    renewed = kept.select(*sessions.columns).unionByName(made.select(*sessions.columns))
    renewed.writeTo(table("sessions")).overwrite(is_renewed)
    return spark.table(table("sessions")).where(is_renewed)


def sessions_by_day(made: DataFrame, events: DataFrame, days: Sequence[date]) -> list[StepRow]:
    """Return per day how many events arrived on it, and how many sessions that start on it were made or renewed."""
    arrived = _count_by_day(events.where(F.col("arrival_day").isin(list(days))), "arrival_day")
    started = _count_by_day(made, "started_on")
    return [StepRow(day, arrived.get(day, 0), {"sessions": started.get(day, 0)}) for day in days]


def _count_by_day(frame: DataFrame, column: str) -> dict[date, int]:
    return {row[column]: row["count"] for row in frame.groupBy(column).count().collect()}
