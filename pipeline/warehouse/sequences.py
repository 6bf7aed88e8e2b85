"""Count sequences for `runs`."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.warehouse.runs import StepRow


def sequences_by_day(made: DataFrame, days: Sequence[date]) -> list[StepRow]:
    """Return per as-of day how many sequences were written, and how many events they hold."""
    counted = made.groupBy("as_of").agg(F.count("*").alias("sequences"), F.sum(F.size("item")).alias("events"))
    by_day = {row.as_of: row for row in counted.collect()}
    return [
        StepRow(day, by_day[day].events, {"sequences": by_day[day].sequences})
        if day in by_day
        else StepRow(day, 0, {"sequences": 0})
        for day in days
    ]


def for_gate(made: DataFrame, length: int) -> DataFrame:
    """Return what the gate `sequences` checks of each row: its key, its length and whether its lists are aligned."""
    sizes = [F.size(name) for name in ("item", "tags", "action", "weight", "event_at", "session_id")]
    is_in_order = F.expr("event_at = array_sort(event_at)")
    return made.select(
        "user_id",
        "as_of",
        sizes[0].alias("length"),
        (F.greatest(*sizes) - F.least(*sizes)).alias("misaligned_by"),
        (sizes[0] - F.lit(length)).alias("beyond_length"),
        (~is_in_order).cast("int").alias("out_of_order"),
        F.date_diff(F.to_date("last_event_at"), "as_of").alias("days_ahead"),
    )
