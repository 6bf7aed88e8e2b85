"""Copies of an event: the first landed owns it, later ones only fill what it left empty (DESIGN.md 5.5.2)."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipeline.transforms.broadcast import broadcast_if_small

# A copy never changes whose event it is, when it was or what it was about.
FILLED_BY_COPIES = (
    "device_id", "received_at", "sent_at", "created_at", "clock_correction_seconds",
    "dwell_seconds", "url", "referrer", "consent", "refused_on",
)  # fmt: skip
ID = ("source", "event_id")
IDENTITY = ("source", "event_id", "arrival_day", "file", "line")


@dataclass(frozen=True)
class Deduplicated:
    """What became of acceptable lines.

    owners: one row per new event. copies: one row per duplicate line. filled: earlier events that a copy completes.
    """

    owners: DataFrame
    copies: DataFrame
    filled: DataFrame


def deduplicate(arrived: DataFrame, known: DataFrame, first_day: date, duplicate_days: int) -> Deduplicated:
    """Tell new events from copies of events that came before them.

    A copy is a duplicate if an earlier copy arrived at most `duplicate_days` before it; else it begins a new event.
    Order is that of landing: arrival day, file, line. `refused_on` is the arrival day of the line that refused
    consent, the event's own or the first copy's that told: sequences of the days before may hold the event.

    arrived: acceptable lines of the arrival days from `first_day` on, one row a line.
    known: events of earlier arrival days, one row an event, with `last_copy_on`.
    """
    columns = [*IDENTITY, *FILLED_BY_COPIES]
    # What later days told of the last copy must not count when their turn comes again.
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
    # Known copies are apart already: each of them is an event.
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
    # All three parts are read from it, some after the table that it reads has been written.
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
    """Return the ids that arrived and were there before, in this batch or among the known: few, as a rule."""
    ids = later.select(*ID, "is_known").unionAll(earlier.select(*ID, "is_known"))
    counted = ids.groupBy(*ID).agg(F.count("*").alias("lines"), F.min("is_known").alias("is_known"))
    return broadcast_if_small(counted.where((F.col("lines") > 1) & ~F.col("is_known")).select(*ID))


def first_filled_since(events: DataFrame, day: date) -> date | None:
    """Return the earliest arrival day of the events from before `day` that have copies from that day on, if any."""
    filled = events.where((F.col("arrival_day") < F.lit(day)) & (F.col("last_copy_on") >= F.lit(day)))
    row = filled.agg(F.min("arrival_day").alias("day")).first()
    return row.day if row else None


def fingerprint_id(user: Column, device: Column, at: Column, kind: Column, item: Column) -> Column:
    """Return an event id for a source that has none: the same five facts are the same event."""
    parts = [F.coalesce(part.cast("string"), F.lit("")) for part in (user, device, F.unix_micros(at), kind, item)]
    return F.substring(F.sha2(F.concat_ws("\x1f", *parts), 256), 1, 32)
