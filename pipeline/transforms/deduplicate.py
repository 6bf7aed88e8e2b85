"""Copies of an event: the first landed copy is the event; later copies only fill its null columns."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipeline.transforms.broadcast import broadcast_if_small

# A copy never changes user, time, type or item of the event.
FILLED_BY_COPIES = (
    "device_id", "received_at", "sent_at", "created_at", "clock_correction_seconds",
    "dwell_seconds", "url", "referrer", "consent", "refused_on",
)  # fmt: skip
ID = ("source", "event_id")
IDENTITY = ("source", "event_id", "arrival_day", "file", "line")


@dataclass(frozen=True)
class Deduplicated:
    """The outcomes of accepted lines.

    owners: one row per new event. copies: one row per duplicate line. filled: earlier events with columns that a copy
    filled.
    """

    owners: DataFrame
    copies: DataFrame
    filled: DataFrame


def deduplicate(arrived: DataFrame, known: DataFrame, first_day: date, duplicate_days: int) -> Deduplicated:
    """Separate new events from copies of earlier ones.

    A copy is a duplicate if an earlier copy arrived at most `duplicate_days` before it; else it begins a new event.
    Copies are ordered by landing: arrival day, file, line. `refused_on` is the arrival day of the first line that
    refused consent, the event's own or a copy's: sequences of the days before may contain the event.

    arrived: accepted lines of the arrival days from `first_day` on, one row per line.
    known: events of earlier arrival days, one row per event, with `last_copy_on`.
    """
    columns = [*IDENTITY, *FILLED_BY_COPIES]
    # Copies from `first_day` on are counted again, so their dates must not count yet.
    last_copy_before = F.least("last_copy_on", F.date_sub(F.lit(first_day), 1))
    earlier = known.where(F.col("last_copy_on") >= F.date_sub(F.lit(first_day), duplicate_days)).select(
        *columns, last_copy_before.alias("copied_on"), F.lit(True).alias("is_known")
    )
    later = arrived.withColumns(
        {
            "copied_on": F.col("arrival_day"),
            "is_known": F.lit(False),
            "refused_on": F.when(~F.col("consent"), F.col("arrival_day")),
        }
    )
    repeated = _repeated(later, earlier)
    alone = later.join(repeated, list(ID), "left_anti").withColumn("last_copy_on", F.col("arrival_day"))
    copies = later.join(repeated, list(ID), "left_semi").unionByName(
        earlier.join(repeated, list(ID), "left_semi"), allowMissingColumns=True
    )

    in_order = Window.partitionBy("source", "event_id").orderBy(F.desc("is_known"), "arrival_day", "file", "line")
    days_since = F.date_diff("copied_on", F.lag("copied_on").over(in_order))
    # Each known copy is an event of its own already.
    is_new = F.col("is_known") | days_since.isNull() | (days_since > duplicate_days)
    numbered = copies.withColumn("copy_group", F.sum(is_new.cast("int")).over(in_order))

    of_group = Window.partitionBy("source", "event_id", "copy_group").orderBy(
        F.desc("is_known"), "arrival_day", "file", "line"
    )
    whole_group = of_group.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    filled = numbered.withColumns(
        {
            "copy_number": F.row_number().over(of_group),
            "last_copy_on": F.max("copied_on").over(whole_group),
            "group_size": F.count("*").over(whole_group),
            **{name: F.first(name, ignorenulls=True).over(whole_group) for name in FILLED_BY_COPIES},
        }
    )
    # All three parts read it, some after the table that it reads was overwritten.
    grouped = filled.withColumn("refused_on", F.when(~F.col("consent"), F.col("refused_on"))).localCheckpoint()
    helpers = ("copied_on", "is_known", "copy_group", "copy_number", "group_size")
    is_first = F.col("copy_number") == 1
    owners = grouped.where(is_first & ~F.col("is_known"))
    return Deduplicated(
        owners=owners.unionByName(alone, allowMissingColumns=True).drop(*helpers),
        copies=grouped.where(~is_first).select(*IDENTITY),
        filled=grouped.where(is_first & F.col("is_known") & (F.col("group_size") > 1)).select(*columns, "last_copy_on"),
    )


def _repeated(later: DataFrame, earlier: DataFrame) -> DataFrame:
    """Return the ids of arrived lines that occur more than once, in this batch or among known events; usually few."""
    ids = later.select(*ID, "is_known").unionAll(earlier.select(*ID, "is_known"))
    counted = ids.groupBy(*ID).agg(F.count("*").alias("lines"), F.min("is_known").alias("is_known"))
    return broadcast_if_small(counted.where((F.col("lines") > 1) & ~F.col("is_known")).select(*ID))


def first_filled_since(events: DataFrame, day: date) -> date | None:
    """Return the earliest arrival day of the events before `day` with copies from that day on, if any."""
    filled = events.where((F.col("arrival_day") < F.lit(day)) & (F.col("last_copy_on") >= F.lit(day)))
    row = filled.agg(F.min("arrival_day").alias("day")).first()
    return row.day if row else None


def fingerprint_id(user: Column, device: Column, at: Column, kind: Column, item: Column) -> Column:
    """Return an event id for a source without ids: equal user, device, time, type and item are the same event."""
    parts = [F.coalesce(part.cast("string"), F.lit("")) for part in (user, device, F.unix_micros(at), kind, item)]
    return F.substring(F.sha2(F.concat_ws("\x1f", *parts), 256), 1, 32)
