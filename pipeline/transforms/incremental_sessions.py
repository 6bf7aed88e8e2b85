"""Incremental sessions: which sessions new and changed events affect, so that only these are computed again.

Sessions contain their events, so the history of events is not read. The cost grows with the number of changed events
and the length of their runs, not with the history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.days import ranges_of
from pipeline.transforms.day_filters import any_of, is_on
from pipeline.transforms.device_stitching import DEVICE
from pipeline.transforms.sessions import LISTED_COLUMNS, NEVER, OWNER, Rules, per_source
from pipeline.warehouse.names import EVENT_KEY

MAX_DAYS = 60  # with changes; for more days, the filter is one period of time instead of a list


@dataclass(frozen=True)
class Changed:
    """New and changed events as they are `now` and as they were `before` this run; one row per event.

    Both have the columns OWNER, `session_key` and LISTED_COLUMNS. An event may be missing in `before` if
    only its `is_counted` has changed.
    """

    now: DataFrame
    before: DataFrame


def changed_by(
    events: DataFrame, events_before: DataFrame, cleaned_days: Sequence[date], moved: DataFrame | None = None
) -> Changed:
    """Return the events that cleaning these days added, filled or reclassed, and those whose owner has changed.

    events: all events as of now, with their owners as `user_id`. events_before: the same before this run.
    moved: devices that have another owner now, if any.
    """
    is_changed = any_of(is_on(F.col(name), cleaned_days) for name in ("arrival_day", "known_on", "last_copy_on"))

    def changed(frame: DataFrame) -> DataFrame:
        columns = [*OWNER, "session_key", *LISTED_COLUMNS]
        found = frame.where(is_changed).select(columns)
        if moved is None:
            return found
        of_moved = frame.where(~is_changed).join(F.broadcast(moved), list(DEVICE), "left_semi")
        return found.unionAll(of_moved.select(columns))

    return Changed(changed(events), changed(events_before))


def affected_sessions(sessions: DataFrame, changed: Changed, rules: Rules) -> DataFrame:
    """Return the sessions of all runs that a changed event may join, and those of runs with open sessions.

    Runs are returned whole, since the length of a run decides whether it is split. An open session may close without
    new events.

    sessions: one row per session, as before this run; needs the columns of `sql/ddl/sessions.sql`.
    """
    columns = ["source", "user_id", "session_key", "event_at"]
    points = changed.now.select(columns).unionAll(changed.before.select(columns))
    # `is_counted` of an event may have changed, so both kinds of sessions are affected.
    both_kinds = F.explode(F.array(F.lit(True), F.lit(False))).alias("is_counted")
    spans = (
        points.select("*", both_kinds)
        .groupBy(*OWNER, "session_key", F.to_date("event_at").alias("day"))
        .agg(F.min("event_at").alias("first_at"), F.max("event_at").alias("last_at"))
        .localCheckpoint()
    )
    found = spans.select("source", "day", F.isnotnull("session_key").alias("is_named")).distinct().collect()
    days = sorted({(row.source, row.day) for row in found if not row.is_named})
    named = sorted({row.source for row in found if row.is_named})
    near = sessions.where(_is_near(days, rules) & F.col("session_key").isNull())
    gap = per_source(rules.gap_micros)
    reached = near.select(*OWNER, "started_at", "ended_at", "run_started_at").join(
        spans.where("session_key IS NULL"), list(OWNER)
    )
    reached = reached.where(
        (F.unix_micros("ended_at") + gap >= F.unix_micros("first_at"))
        & (F.unix_micros("started_at") - gap <= F.unix_micros("last_at"))
    )
    run = [*OWNER, "run_started_at"]
    was_open = sessions.where("is_open AND session_key IS NULL")
    runs = reached.select(*run).unionAll(was_open.select(*run)).distinct().localCheckpoint()
    starts = [row.day for row in runs.select(F.to_date("run_started_at").alias("day")).distinct().collect()]
    by_rules = sessions.where(_is_within(F.col("run_started_at"), starts) & F.col("session_key").isNull())
    affected = by_rules.join(runs, run, "left_semi")
    # An event may join a session that the log names after any gap.
    named_open = sessions.where("is_open AND session_key IS NOT NULL")
    if not named:
        return affected.unionByName(named_open)
    keys = spans.where("session_key IS NOT NULL").select(*OWNER, "session_key").distinct()
    joined = sessions.where(F.col("source").isin(named)).join(F.broadcast(keys), [*OWNER, "session_key"], "left_semi")
    return affected.unionByName(joined.unionByName(named_open).dropDuplicates(["session_id"]))


def events_to_sessionize(affected: DataFrame, changed: Changed) -> DataFrame:
    """Return the events to compute sessions from: those of affected sessions, and the changed ones as they are now."""
    of_session = [*OWNER, "session_key"]
    held = affected.select(*of_session, F.explode("events").alias("event")).select(*of_session, "event.*")
    keys = changed.now.select(*EVENT_KEY).unionAll(changed.before.select(*EVENT_KEY)).distinct()
    return held.join(keys, list(EVENT_KEY), "left_anti").unionByName(changed.now)


def _is_near(days: Sequence[tuple[str, date]], rules: Rules) -> Column:
    """Return a filter that lets Spark skip files: sessions that an event of one of these sources and days may join."""
    if not days:
        return F.lit(False)
    if any(rules.gap_micros[source] == NEVER for source, _ in days):
        return F.lit(True)
    spans = []
    for source, day in days:
        gap = timedelta(microseconds=rules.gap_micros[source])
        spans.append((_midnight(day) - gap, _midnight(day) + timedelta(days=1) + gap))
    if len(spans) > MAX_DAYS:
        spans = [(min(start for start, _ in spans), max(end for _, end in spans))]
    return any_of(
        (F.col("ended_at") >= F.lit(start)) & (F.col("started_at") <= F.lit(end)) for start, end in sorted(set(spans))
    )


def _is_within(time: Column, days: Sequence[date]) -> Column:
    """Return a filter that lets Spark skip files: times on one of the days, and between them if the days are many."""
    spans = [(_midnight(one.first), _midnight(one.last) + timedelta(days=1)) for one in ranges_of(days)]
    if len(spans) > MAX_DAYS:
        spans = [(spans[0][0], spans[-1][1])]
    return any_of((time >= F.lit(start)) & (time < F.lit(end)) for start, end in spans)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
