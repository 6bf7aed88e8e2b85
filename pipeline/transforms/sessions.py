"""Sessions: runs of events of one user, split by the rules of the source."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipeline.sources.schema import Source

OWNER = ("source", "user_id", "is_counted")  # events of bots or without consent form sessions of their own
# Events of equal time are in the order that the log gives them, else in the order of landing.
IN_ORDER = ("event_at", "sequence", "arrival_day", "file", "line", "part")
# Of the events of a session.
LISTED_COLUMNS = (*IN_ORDER, "event_id", "event_type", "item_space", "item_id", "tags")
NEVER = 1 << 61  # microseconds; of a rule that is switched off


@dataclass(frozen=True)
class Rules:
    """Session rules by source, with times in microseconds."""

    gap_micros: Mapping[str, int]
    cap_micros: Mapping[str, int]
    is_day_split: Mapping[str, bool]
    time_zone: Mapping[str, str]

    @classmethod
    def of(cls, sources: Mapping[str, Source]) -> "Rules":
        rules = {name: source.sessions for name, source in sources.items()}
        return cls(
            {name: round(rule.inactivity_gap_minutes * 60e6) or NEVER for name, rule in rules.items()},
            {name: round(rule.cap_hours * 3600e6) or NEVER for name, rule in rules.items()},
            {name: rule.day_split for name, rule in rules.items()},
            {name: source.time_zone for name, source in sources.items()},
        )


def is_counted() -> Column:
    """Return whether an event counts for interests: neither of a bot nor without consent."""
    return (F.col("bot_class") == "human") & F.coalesce(F.col("consent"), F.lit(True))


def is_counted_on(day: Column) -> Column:
    """Return the same as of a day: a refusal of consent counts from the arrival day of the line that brought it."""
    is_refused = ~F.coalesce(F.col("consent"), F.lit(True)) & F.coalesce(F.col("refused_on") <= day, F.lit(True))
    return (F.col("bot_class") == "human") & ~is_refused


def sessionize(events: DataFrame, rules: Rules, per: tuple[str, ...] = ()) -> DataFrame:
    """Add `session_id`, `session_started_at`, `run_started_at`, `is_cut_by_day` and `split_reason` to every event.

    A run is a sequence of one owner's events without a gap longer than the inactivity gap. A run longer than the cap is
    split at every midnight of the source's time zone; with the day split, every run is. Events with a `session_key`
    form the session that the log names, whatever their gaps. The id of a session depends only on its source, its user
    and its first event or its key, so a late event changes no other session.

    events: one row per event; needs `source`, `user_id`, `is_counted`, `session_key`, `event_id` and IN_ORDER.
    Runs must be complete: with one event of a run, all its events.
    per: further columns that separate histories, such as `as_of`.
    """
    # The user and `per` first: rows that are sorted by them need no other sort to be grouped by them.
    owner = ["user_id", *per, *[name for name in (*OWNER, "session_key") if name != "user_id"]]
    is_named = F.col("session_key").isNotNull()
    in_order = Window.partitionBy(*owner).orderBy(*IN_ORDER)
    micros = F.unix_micros("event_at")
    since_last = micros - F.lag(micros).over(in_order)
    local_day = F.to_date(F.from_utc_timestamp("event_at", per_source(rules.time_zone)))
    runs = events.withColumns(
        {
            "is_new_run": since_last.isNull() | (~is_named & (since_last > per_source(rules.gap_micros))),
            "is_new_day": local_day != F.lag(local_day).over(in_order),
        }
    ).withColumn("run", F.sum(F.col("is_new_run").cast("int")).over(in_order))

    # The same order with `run` first, so that Spark need not sort again.
    in_order = Window.partitionBy(*owner).orderBy("run", *IN_ORDER)
    of_run = Window.partitionBy(*owner, "run").orderBy(*IN_ORDER)
    whole_run = of_run.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    run_micros = F.last(micros).over(whole_run) - F.first(micros).over(whole_run)
    is_day_split = per_source(rules.is_day_split)
    is_cut_by_day = ~is_named & (is_day_split | (run_micros > per_source(rules.cap_micros)))
    reason = F.when(F.col("is_new_run"), F.when(is_named, "log").otherwise("gap")).when(
        is_cut_by_day & F.col("is_new_day"), F.when(is_day_split, "day").otherwise("midnight")
    )
    # Hashed once per session, not once per event.
    first = F.when(is_named, F.col("session_key")).otherwise(F.concat("event_id", F.lit("\x1f"), micros))
    session_id = F.substring(F.sha2(F.concat_ws("\x1f", F.col("source"), F.col("user_id"), first), 256), 1, 32)
    begins = F.struct(session_id.alias("session_id"), "event_at", reason.alias("reason"))
    marked = runs.withColumns(
        {
            "run_started_at": F.first("event_at").over(whole_run),
            "is_cut_by_day": is_cut_by_day,
            "begins": F.when(reason.isNotNull(), begins),
        }
    ).withColumn("begun", F.last("begins", ignorenulls=True).over(in_order))
    return marked.withColumns(
        {
            "session_id": F.col("begun.session_id"),
            "session_started_at": F.col("begun.event_at"),
            "split_reason": F.col("begun.reason"),
        }
    ).drop("is_new_run", "is_new_day", "run", "begins", "begun")


def sessions_of(events: DataFrame, rules: Rules, last_known_day: Column) -> DataFrame:
    """Return one row per session, with the columns of `sql/ddl/sessions.sql`.

    events: as `sessionize` returns them; needs `event_type`, `item_id`, `tags` too.
    last_known_day: the newest cleaned arrival day. A session is open while an event after the end of that day could
    join it: within the gap, and before a midnight at which its run is split. A session that the log names counts as
    open within the gap only, though an event may join it later.
    """
    grouped = events.groupBy("session_id", *OWNER).agg(
        F.first("session_key").alias("session_key"),
        F.min("event_at").alias("started_at"),
        F.max("event_at").alias("ended_at"),
        F.first("run_started_at").alias("run_started_at"),
        F.first("is_cut_by_day").alias("is_cut_by_day"),
        F.count("*").cast("int").alias("event_count"),
        F.array_sort(F.collect_list(F.struct(*LISTED_COLUMNS))).alias("events"),
        F.first("split_reason").alias("split_reason"),
    )
    end_of_day = F.date_add(last_known_day, 1).cast("timestamp")
    in_reach = F.unix_micros("ended_at") + per_source(rules.gap_micros) >= F.unix_micros(end_of_day)
    local_day, next_local_day = (
        F.to_date(F.from_utc_timestamp(at, per_source(rules.time_zone))) for at in (F.col("ended_at"), end_of_day)
    )
    is_past_cut = F.col("is_cut_by_day") & (local_day < next_local_day)
    seconds = (F.unix_micros("ended_at") - F.unix_micros("started_at")) / 1e6
    return grouped.select(
        "session_id", "source", "user_id", "session_key",
        F.to_date("started_at").alias("started_on"), "started_at", "ended_at", "run_started_at",
        seconds.alias("duration_seconds"),
        "event_count", "events", F.array_sort(F.array_distinct(F.flatten("events.tags"))).alias("tags"),
        (in_reach & ~is_past_cut).alias("is_open"), "is_counted", "split_reason",
    )  # fmt: skip


def per_source(values: Mapping[str, object]) -> Column:
    """Return the column with the value of each row's source."""
    return F.create_map(*[F.lit(part) for pair in values.items() for part in pair])[F.col("source")]
