"""The time of an event: the clock of the device, corrected by that of the collector where that is sound."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

EARLIEST, LATEST = "1990-01-01", "2100-01-01"  # a time outside comes from a broken clock
STALE_AFTER_MICROS = MICROS_BETWEEN_SERVERS = 60_000_000


def in_calendar(time: Column) -> Column:
    """Return a time, or null if no working clock can have shown it."""
    return F.when(time.between(F.lit(EARLIEST).cast("timestamp"), F.lit(LATEST).cast("timestamp")), time)


def with_event_time(canonical: DataFrame, has_all_times: bool) -> DataFrame:
    """Add `clock_correction_seconds`, and correct `event_at` where created_at, sent_at and received_at are known.

    event_at = created_at + offset. The offset is the smallest received_at - sent_at of the batch: the lines of one
    source, arrival day, device (or user) and sent_at. With one offset, events keep the order that the device wrote.
    Two kinds of lines are not corrected, and keep event_at, else created_at: an event that was created after it was
    sent, and all of a batch in which an event was created more than a minute after it. Their sent_at is of an earlier
    batch, and a correction would move the event by the time between the two.

    has_all_times: whether the source names all three times; otherwise no line is corrected.
    """
    plain = F.coalesce("event_at", "created_at")
    if not has_all_times:
        return canonical.withColumns({"event_at": plain, "clock_correction_seconds": F.lit(None).cast("double")})
    created, sent, received = (F.unix_micros(name) for name in ("created_at", "sent_at", "received_at"))
    is_known = created.isNotNull() & sent.isNotNull() & received.isNotNull()
    # A line without these times is a batch of its own, so that no task gets all of them.
    alone = F.when(~is_known, F.struct("file", "line"))
    batch = Window.partitionBy("arrival_day", F.coalesce("device_id", "user_id"), "sent_at", alone)
    is_stale = F.max(created - sent).over(batch) > STALE_AFTER_MICROS
    offset = F.min(received - sent).over(batch)
    is_corrected = is_known & (sent >= created) & ~is_stale
    return (
        canonical.withColumn("offset", F.when(is_corrected, offset))
        .withColumns(
            {
                "event_at": F.when(
                    F.col("offset").isNotNull(), in_calendar(F.timestamp_micros(created + F.col("offset")))
                ).otherwise(plain),
                "clock_correction_seconds": F.col("offset") / 1e6,
            }
        )
        .drop("offset")
    )


def never_after_receipt(lines: DataFrame, future_days: int) -> DataFrame:
    """Set event_at to received_at where it lies after it, by at most `future_days` days, and record the correction.

    created_at keeps the time of the device, also where the source gave it as event_at only. An event_at that the source
    itself derived, without created_at, may lie up to a minute after: its servers' clocks differ by so much.
    """
    micros_ahead = F.unix_micros("event_at") - F.unix_micros("received_at")
    allowed = F.when(F.col("created_at").isNull(), MICROS_BETWEEN_SERVERS).otherwise(0)
    is_ahead = (micros_ahead > allowed) & ~is_in_future(future_days)
    created = F.coalesce("created_at", "event_at")
    seconds = (F.unix_micros("received_at") - F.unix_micros(created)) / 1e6
    return lines.withColumns(
        {
            "event_at": F.when(is_ahead, F.col("received_at")).otherwise(F.col("event_at")),
            "created_at": F.when(is_ahead, created).otherwise(F.col("created_at")),
            "clock_correction_seconds": F.when(is_ahead, seconds).otherwise(F.col("clock_correction_seconds")),
        }
    )


def is_in_future(future_days: int) -> Column:
    """Return whether event_at lies more than `future_days` days after the day of receipt, else the arrival day."""
    return F.to_date("event_at") > F.date_add(F.coalesce(F.to_date("received_at"), "arrival_day"), future_days)
