"""Sequences: what was known of a user by the end of a day, over all sessions (DESIGN.md 5.5.3, 5.5.7)."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipeline.sessionize import Rules, sessionize


def sequences(events: DataFrame, as_of_days: Sequence[date], rules: Rules, length: int) -> DataFrame:
    """Return one row per user and as-of day on which an event of the user became known.

    A row is a function of exactly the counted events with `known_on` up to its day: sessions are cut anew from those,
    so that an event which came later leaves the row alone.

    events: one row per event, `known_on` up to the last of the days; the columns of `events` and `is_counted`.
    length: the newest so many events are kept.
    """
    counted = events.where("is_counted")
    with_news = (
        counted.where(F.col("known_on").isin(list(as_of_days)))
        .select("user_id", F.col("known_on").alias("as_of"))
        .distinct()
    )
    known = counted.join(with_news, "user_id").where(F.col("known_on") <= F.col("as_of"))
    cut = sessionize(known.withColumn("has_earlier", F.lit(False)), rules, per=("as_of",))

    newest_first = Window.partitionBy("user_id", "as_of").orderBy(
        F.desc("event_at"), F.desc("event_id"), F.desc("arrival_day"), F.desc("file"), F.desc("line")
    )
    life = Window.partitionBy("user_id", "as_of")
    ranked = cut.withColumns(
        {
            "age_rank": F.row_number().over(newest_first),
            "event_count": F.count("*").over(life),
            "first_event_at": F.min("event_at").over(life),
        }
    ).where(F.col("age_rank") <= length)

    item = F.when(F.col("item_id").isNull(), F.lit(0)).otherwise(F.xxhash64("item_id"))
    entry = F.struct(
        (-F.col("age_rank")).alias("place"),
        item.alias("item"),
        "tags",
        F.col("event_type").alias("action"),
        "weight",
        "event_at",
        "session_id",
    )
    grouped = ranked.groupBy("user_id", "as_of").agg(
        F.array_sort(F.collect_list(entry)).alias("entries"),
        F.first("event_count").alias("event_count"),
        F.first("first_event_at").alias("first_event_at"),
        F.max("event_at").alias("last_event_at"),
    )
    lists = [
        F.col(f"entries.{name}").alias(name) for name in ("item", "tags", "action", "weight", "event_at", "session_id")
    ]
    return grouped.select("user_id", "as_of", *lists, "event_count", "first_event_at", "last_event_at")
