"""Which histories a night's news touches, and from when on, so that only these are cut again."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.sessionize import OWNER, Rules, per_source


def touched_owners(
    events: DataFrame, events_before: DataFrame, sessions: DataFrame, cleaned_days: Sequence[date], rules: Rules
) -> DataFrame:
    """Return one row per owner with news: `from_at`, from which its events are cut again, and `has_earlier` sessions.

    A run of events is always cut again from its start. Owners whose newest session was open have news too: it may
    have closed.

    events: all events, as of now. events_before: the same before this night. sessions: before this night.
    """
    days = list(cleaned_days)
    is_changed = F.col("arrival_day").isin(days) | F.col("known_on").isin(days) | F.col("last_copy_on").isin(days)
    news = [frame.where(is_changed).select("source", "user_id", "event_at") for frame in (events, events_before)]
    was_open = sessions.where("is_open").select("source", "user_id", F.col("started_at").alias("event_at"))
    since = (
        news[0]
        .unionAll(news[1])
        .unionAll(was_open)
        .groupBy("source", "user_id")
        .agg(F.min("event_at").alias("news_at"))
    )

    owners = since.crossJoin(F.broadcast(_both_kinds(events)))
    reach = F.unix_micros("ended_at") + per_source(rules.gap_micros) >= F.unix_micros("news_at")
    own = owners.join(sessions.select(*OWNER, "ended_at", "run_started_at"), list(OWNER), "left")
    return own.groupBy(*OWNER).agg(
        F.least(F.min("news_at"), F.min(F.when(reach, F.col("run_started_at")))).alias("from_at"),
        F.coalesce(F.max(~reach), F.lit(False)).alias("has_earlier"),
    )


def events_to_cut(events: DataFrame, touched: DataFrame) -> DataFrame:
    """Return the events of touched owners from `from_at` on, with `has_earlier`."""
    return events.join(touched, list(OWNER)).where("event_at >= from_at").drop("from_at")


def _both_kinds(events: DataFrame) -> DataFrame:
    return events.sparkSession.createDataFrame([(True,), (False,)], "is_counted boolean")
