"""Sequences: the events of a user known by the end of a day, over all sessions."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipeline.sources.schema import Source
from pipeline.transforms.day_filters import is_on
from pipeline.transforms.device_stitching import is_owned, under_owners
from pipeline.transforms.log_size import broadcast_if_small
from pipeline.transforms.sessions import IN_ORDER, Rules, is_counted_on, sessionize


def excludes_item(sources: Mapping[str, Source]) -> Column | None:
    """Return whether the item of an event is left out of the user's top items, by the TOML of its source.

    None where no source has such a rule. Needs `source`, `event_type`, `item_id`.
    """
    rules = [
        (F.col("source") == name) & F.col("event_type").isin(sorted(source.excluding_types))
        for name, source in sources.items()
        if source.excluding_types
    ]
    return reduce(or_, rules) & F.col("item_id").isNotNull() if rules else None


def sequences(
    events: DataFrame,
    owners: DataFrame,
    as_of_days: Sequence[date],
    rules: Rules,
    length: int,
    is_excluding: Column | None = None,
) -> DataFrame:
    """Return one row per user and as-of day on which an event of the user became known.

    A row depends only on the counted events with `known_on` up to its day. It holds the newest `length` of them, with
    session ids computed from these alone: a session that began before them begins with the first of them. Events that
    arrive later change no row.

    events: one row per event, `known_on` up to the last of the days; the columns of `sql/ddl/events.sql`.
    owners: the owners of devices; see `pipeline.transforms.device_stitching.device_owners`.
    is_excluding: as `excludes_item` returns it. The items of such events are listed beyond the newest `length` too.
    """
    events = under_owners(events, owners)
    known_on = F.col("known_on")
    is_news = is_on(known_on, as_of_days) & is_counted_on(known_on) & is_owned(known_on)
    # The alias keeps Spark from taking the user of the checkpoint for that of the events, to which it is joined.
    user = F.col("user_id").alias("user_id")
    news = broadcast_if_small(events.where(is_news).select(user, known_on.alias("as_of")).distinct())
    as_of = F.col("as_of")
    # Partitioned before the join, so that an event is moved once and not once for each day.
    known = (
        events.join(news.select("user_id"), "user_id", "left_semi")
        .repartition("user_id")
        .join(news, "user_id")
        .where((known_on <= as_of) & is_counted_on(as_of) & is_owned(as_of))
    )

    life = Window.partitionBy("user_id", "as_of")
    oldest_first = life.orderBy(*IN_ORDER)
    ranked = known.withColumns(
        {
            "place": F.row_number().over(oldest_first),
            "event_count": F.count("*").over(life),
            "first_event_at": F.min("event_at").over(life),
        }
    ).where(F.col("place") > F.col("event_count") - length)
    sessionized = sessionize(ranked.withColumn("is_counted", F.lit(True)), rules, per=("as_of",))

    item = F.xxhash64("item_space", "item_id")
    entry = F.struct(
        "place",
        F.when(F.col("item_id").isNull(), F.lit(0)).otherwise(item).alias("item"),
        "tags",
        F.col("event_type").alias("action"),
        "weight",
        "event_at",
        "session_id",
    )
    grouped = sessionized.groupBy("user_id", "as_of").agg(
        F.array_sort(F.collect_list(entry)).alias("entries"),
        F.first("event_count").alias("event_count"),
        F.first("first_event_at").alias("first_event_at"),
        F.max("event_at").alias("last_event_at"),
    )
    lists = [
        F.col(f"entries.{name}").alias(name) for name in ("item", "tags", "action", "weight", "event_at", "session_id")
    ]
    none = F.array().cast("array<bigint>")
    made = grouped.select(
        "user_id", "as_of", *lists, "event_count", "first_event_at", "last_event_at", none.alias("excluded_item")
    )
    if is_excluding is None:
        return made
    items = F.array_sort(F.collect_set(item)).alias("items")
    excluded = known.where(is_excluding).groupBy("user_id", "as_of").agg(items)
    return (
        made.join(excluded, ["user_id", "as_of"], "left")
        .withColumn("excluded_item", F.coalesce("items", "excluded_item"))
        .drop("items")
    )
