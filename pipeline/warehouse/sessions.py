"""Write sessions, and count them for `runs`."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.sessionize import OWNER
from pipeline.warehouse.runs import StepRow
from pipeline.warehouse.tables import table


def replace_sessions(spark: SparkSession, made: DataFrame, touched: DataFrame) -> None:
    """Put the sessions made in the place of those that the touched owners had from `from_at` on."""
    identity = ["session_id", "started_on"]
    had = spark.table(table("sessions")).join(touched, list(OWNER)).where("started_at >= from_at").select(*identity)
    gone = had.join(made.select(*identity), identity, "left_anti").withColumn("is_gone", F.lit(True))
    new = made.withColumn("is_gone", F.lit(False)).unionByName(gone, allowMissingColumns=True).alias("new")
    is_same = " AND ".join(f"sessions.{name} = new.{name}" for name in identity)
    (
        new.mergeInto(table("sessions"), F.expr(is_same))
        .whenMatched(F.expr("new.is_gone")).delete()
        .whenMatched().updateAll()
        .whenNotMatched(F.expr("NOT new.is_gone")).insertAll()
        .merge()
    )  # fmt: skip


def started_since(sessions: DataFrame, made: DataFrame) -> DataFrame:
    """Return the sessions that start on the first day of those made, or later."""
    first = made.agg(F.min("started_on").alias("day")).first()
    return sessions.where(F.col("started_on") >= F.lit(first.day if first else None))


def sessions_by_day(made: DataFrame, events: DataFrame, days: Sequence[date]) -> list[StepRow]:
    """Return per day how many events arrived on it, and how many sessions that start on it were made or renewed."""
    arrived = _count_by_day(events.where(F.col("arrival_day").isin(list(days))), "arrival_day")
    started = _count_by_day(made, "started_on")
    return [StepRow(day, arrived.get(day, 0), {"sessions": started.get(day, 0)}) for day in days]


def _count_by_day(frame: DataFrame, column: str) -> dict[date, int]:
    return {row[column]: row["count"] for row in frame.groupBy(column).count().collect()}
