"""Copies of an event: the first landed copy is the event; later copies only fill its null columns."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipeline.transforms.log_size import broadcast_if_small
from pipeline.warehouse.names import EVENT_KEY

# A copy never changes user, time, type or item of the event.
FILLED_BY_COPIES = (
    "device_id", "received_at", "sent_at", "created_at", "clock_correction_seconds",
    "dwell_seconds", "url", "referrer", "consent", "refused_on",
)  # fmt: skip
ID = ("source", "event_id")
LANDING_ORDER = ("arrival_day", "file", "line", "part")
# Copies have equal facts of these; their devices must not differ, nor their times by more than the tolerance.
FACTS = (*ID, "user_id", "event_type", "item_space", "item_id")
MAX_OPEN_EVENTS = 100  # of one id and equal FACTS; older ones get no more copies


@dataclass(frozen=True)
class Deduplicated:
    """The outcomes of accepted lines.

    owners: one row per new event. copies: one row per duplicate. filled: earlier events with columns that a copy
    filled.
    """

    owners: DataFrame
    copies: DataFrame
    filled: DataFrame


def deduplicate(arrived: DataFrame, known: DataFrame, first_day: date, duplicate_days: int) -> Deduplicated:
    """Separate new events from copies of earlier ones.

    A copy has the id and the facts of an event (FACTS, the device where both know it, and the time up to
    `tolerance_micros`), and arrives at most `duplicate_days` after the event or its newest copy. Of several such events
    the first landed gets it. Other lines are new events; those that share an id with an earlier event are collisions.
    Lines are ordered by landing: arrival day, file, line. `refused_on` is the arrival day of the first line that
    refused consent, the event's own or a copy's: sequences of the days before may contain the event.

    arrived: accepted lines of the arrival days from `first_day` on, one row per event, with `tolerance_micros`.
    known: events of earlier arrival days, one row per event, with `last_copy_on`.
    """
    columns = [*EVENT_KEY, *FILLED_BY_COPIES]
    # Copies from `first_day` on are counted again, so their dates must not count yet.
    last_copy_before = F.least("last_copy_on", F.date_sub(F.lit(first_day), 1))
    earlier = known.where(F.col("last_copy_on") >= F.date_sub(F.lit(first_day), duplicate_days)).select(
        *columns, *[name for name in (*FACTS, "event_at") if name not in EVENT_KEY],
        last_copy_before.alias("copied_on"), F.lit(True).alias("is_known"),
    )  # fmt: skip
    later = arrived.withColumns(
        {
            "copied_on": F.col("arrival_day"),
            "is_known": F.lit(False),
            "refused_on": F.when(~F.col("consent"), F.col("arrival_day")),
        }
    )
    repeated = _repeated(later, earlier)
    alone = later.join(repeated, list(ID), "left_anti").withColumns(
        {"last_copy_on": F.col("arrival_day"), "is_collision": F.lit(False)}
    )
    copies = later.join(repeated, list(ID), "left_semi").unionByName(
        earlier.join(repeated, list(ID), "left_semi"), allowMissingColumns=True
    )

    in_order = (F.desc("is_known"), *LANDING_ORDER)
    of_event = Window.partitionBy(*FACTS, "event_number").orderBy(*in_order)
    whole_event = of_event.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    filled = _numbered(copies, duplicate_days).withColumns(
        {
            "copy_number": F.row_number().over(of_event),
            "last_copy_on": F.max("copied_on").over(whole_event),
            "group_size": F.count("*").over(whole_event),
            **{name: F.first(name, ignorenulls=True).over(whole_event) for name in FILLED_BY_COPIES},
        }
    )
    of_id = Window.partitionBy(*ID).orderBy(*in_order).rowsBetween(Window.unboundedPreceding, -1)
    days_since_id = F.date_diff("copied_on", F.max("copied_on").over(of_id))
    # All three parts read it, some after the table that it reads was overwritten.
    grouped = filled.withColumns(
        {
            "refused_on": F.when(~F.col("consent"), F.col("refused_on")),
            "is_collision": F.coalesce(days_since_id <= duplicate_days, F.lit(False)),
        }
    ).localCheckpoint()
    helpers = ("copied_on", "is_known", "event_number", "copy_number", "group_size", "tolerance_micros")
    is_first = F.col("copy_number") == 1
    owners = grouped.where(is_first & ~F.col("is_known"))
    return Deduplicated(
        owners=owners.unionByName(alone, allowMissingColumns=True).drop(*helpers),
        copies=grouped.where(~is_first).select(*EVENT_KEY, "event_id"),
        filled=grouped.where(is_first & F.col("is_known") & (F.col("group_size") > 1)).select(
            *columns, "event_id", "last_copy_on"
        ),
    )


def _repeated(later: DataFrame, earlier: DataFrame) -> DataFrame:
    """Return the ids of arrived lines that occur more than once, in this batch or among known events; usually few."""
    ids = later.select(*ID, "is_known").unionAll(earlier.select(*ID, "is_known"))
    counted = ids.groupBy(*ID).agg(F.count("*").alias("lines"), F.min("is_known").alias("is_known"))
    return broadcast_if_small(counted.where((F.col("lines") > 1) & ~F.col("is_known")).select(*ID))


def _numbered(copies: DataFrame, duplicate_days: int) -> DataFrame:
    """Add `event_number`: lines with equal FACTS and equal number are copies of one event.

    Lines are assigned in the order of landing, each to the first event that it can be a copy of. Known events come
    first, each with a number of its own, so the result is the same whether days are cleaned one by one or together.

    copies: lines and known events whose ids repeat.
    """
    rows = copies.withColumn("at_micros", F.unix_micros(F.coalesce("created_at", "event_at")))
    is_later = (~F.col("is_known")).alias("is_later")
    facts = ["device_id", "at_micros", "copied_on", "tolerance_micros"]
    lines = F.array_sort(F.collect_list(F.struct(is_later, *[F.col(name) for name in (*LANDING_ORDER, *facts)])))

    def assign(state: Column, line: Column) -> Column:
        """State: the newest events, by number, and the number of each line so far."""
        found = F.get(
            F.filter(
                state.events,
                lambda event: (
                    line.is_later
                    & F.coalesce(event.device_id == line.device_id, F.lit(True))
                    & (F.abs(event.at_micros - line.at_micros) <= line.tolerance_micros)
                    & (F.date_diff(line.copied_on, event.copied_on) <= duplicate_days)
                ),
            ),
            F.lit(0),
        )
        number = F.coalesce(found.number, F.size(state.numbers))
        event = F.struct(
            number.alias("number"),
            F.coalesce(found.device_id, line.device_id).alias("device_id"),
            F.coalesce(found.at_micros, line.at_micros).alias("at_micros"),
            line.copied_on.alias("copied_on"),
        )
        events = F.concat(
            F.filter(state.events, lambda one: one.number < number),
            F.array(event),
            F.filter(state.events, lambda one: one.number > number),
        )
        newest = F.when(F.size(events) > MAX_OPEN_EVENTS, F.slice(events, 2, MAX_OPEN_EVENTS)).otherwise(events)
        return F.struct(newest.alias("events"), F.concat(state.numbers, F.array(number)).alias("numbers"))

    none = F.struct(
        F.array().cast("array<struct<number:int,device_id:string,at_micros:bigint,copied_on:date>>").alias("events"),
        F.array().cast("array<int>").alias("numbers"),
    )
    numbers = F.aggregate("lines", none, assign, lambda state: state.numbers)
    assigned = (
        rows.groupBy(*FACTS)
        .agg(lines.alias("lines"))
        .select("source", F.explode(F.arrays_zip("lines", numbers.alias("numbers"))).alias("one"))
        .select("source", *[f"one.lines.{name}" for name in LANDING_ORDER], F.col("one.numbers").alias("event_number"))
    )
    return rows.join(assigned, list(EVENT_KEY)).drop("at_micros")


def first_filled_since(events: DataFrame, day: date) -> date | None:
    """Return the earliest arrival day of the events before `day` with copies from that day on, if any."""
    filled = events.where((F.col("arrival_day") < F.lit(day)) & (F.col("last_copy_on") >= F.lit(day)))
    row = filled.agg(F.min("arrival_day").alias("day")).first()
    return row.day if row else None
