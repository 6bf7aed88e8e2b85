"""Write events, rejects, items, device users and sessions to their tables, and count rows for `runs`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import reduce
from operator import and_

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from pipeline.landing.clean_plan import CleanPlan
from pipeline.transforms.clean import Cleaned
from pipeline.transforms.day_filters import is_on
from pipeline.transforms.deduplicate import FILLED_BY_COPIES
from pipeline.transforms.device_stitching import device_users
from pipeline.transforms.items import items_of_catalogues, items_of_events
from pipeline.transforms.rows import frame_of_rows
from pipeline.version import code_version
from pipeline.warehouse.names import EVENT_KEY
from pipeline.warehouse.run_log import StepRow
from pipeline.warehouse.tables import table


def write_events(spark: SparkSession, plan: CleanPlan, cleaned: Cleaned) -> None:
    """Replace the planned arrival days in `events` and `rejects`, and update earlier events by copies and bot class."""
    days = F.col("arrival_day").between(plan.first, plan.last)
    events = cleaned.events.select(*spark.table(table("events")).columns)
    events.sortWithinPartitions("user_id", "event_at").writeTo(table("events")).overwrite(days)
    # The table of an older home has a column for the line itself, which stays in the landing zone now.
    rejects = cleaned.rejects.withColumn("text", F.lit("")).select(*spark.table(table("rejects")).columns)
    rejects.writeTo(table("rejects")).overwrite(days)
    _update_earlier(cleaned.filled, cleaned.reclassed)


def write_device_users(spark: SparkSession, plan: CleanPlan, most_users: Mapping[str, int]) -> None:
    """Replace the planned arrival days in `device_users` by the log-ins of their events."""
    days = F.col("arrival_day").between(plan.first, plan.last)
    found = device_users(spark.table(table("events")).where(days), most_users)
    found.select(*spark.table(table("device_users")).columns).writeTo(table("device_users")).overwrite(days)


def write_items(spark: SparkSession, plan: CleanPlan, catalogues: Sequence[DataFrame]) -> None:
    """Insert or update the items of the catalogues and of the planned days' events."""
    days = F.col("arrival_day").between(plan.first, plan.last)
    merge_items(spark, spark.table(table("events")).where(days), catalogues)


def merge_items(spark: SparkSession, events: DataFrame, catalogues: Sequence[DataFrame]) -> None:
    """Insert or update the items of events and catalogues."""
    of_events = items_of_events(events)
    columns = ["space", "item_id", "title", "tags", "content"]
    listed = items_of_catalogues(catalogues) if catalogues else spark.table(table("items")).select(columns).limit(0)
    listed = listed.withColumnRenamed("tags", "listed_tags")
    new = _without_tables(of_events.join(listed, ["space", "item_id"], "full")).alias("new")
    listed_tags = "CASE WHEN size(new.listed_tags) > 0 THEN new.listed_tags"
    is_newer = "new.last_seen_at >= coalesce(items.last_seen_at, new.last_seen_at)"
    renewed = {
        "title": "coalesce(new.title, items.title)",
        "tags": f"{listed_tags} WHEN {is_newer} THEN new.tags ELSE items.tags END",
        "content": "coalesce(new.content, items.content)",
        "first_seen_at": "least(items.first_seen_at, new.first_seen_at)",
        "last_seen_at": "greatest(items.last_seen_at, new.last_seen_at)",
    }
    added = {
        "space": "new.space",
        "item_id": "new.item_id",
        "item": "xxhash64(new.space, new.item_id)",
        "title": "new.title",
        "tags": f"{listed_tags} ELSE coalesce(new.tags, array()) END",
        "content": "coalesce(new.content, array())",
        "first_seen_at": "new.first_seen_at",
        "last_seen_at": "new.last_seen_at",
    }
    (
        new.mergeInto(table("items"), F.expr("items.space = new.space AND items.item_id = new.item_id"))
        .whenMatched().update({name: F.expr(rule) for name, rule in renewed.items()})
        .whenNotMatched().insert({name: F.expr(rule) for name, rule in added.items()})
        .merge()
    )  # fmt: skip


def add_release(spark: SparkSession, as_of: date, run_id: str, snapshots: Mapping[str, int], config_hash: str) -> None:
    """Publish: add the row to `releases` whose snapshots readers open from now on. Its number is the largest."""
    releases = spark.table(table("releases"))
    values = (as_of, None, datetime.now(UTC), run_id, dict(snapshots), code_version(), config_hash)
    release = frame_of_rows(spark, [values], releases.schema).drop("number")
    number = releases.agg((F.coalesce(F.max("number"), F.lit(0)) + 1).alias("number"))
    release.crossJoin(number).select(*releases.columns).writeTo(table("releases")).append()


def releases_in_order(spark: SparkSession) -> list[Row]:
    """Return the rows of `releases`, the current one last; those that older versions made have no number."""
    releases = spark.table(table("releases"))
    return list(releases.orderBy(F.col("number").asc_nulls_first(), "published_at").collect())


def _without_tables(rows: DataFrame) -> DataFrame:
    """Return the rows to merge as a checkpoint, whose plan reads no table.

    Before a merge, Spark looks for the files that have a matching row. This query reads tables as they are on main,
    not on the branch of the run, so it would miss rows that the run has written, and so the files that match them.
    """
    return rows.localCheckpoint()


def _update_earlier(filled: DataFrame, reclassed: DataFrame) -> None:
    """Update events of earlier arrival days: columns that a copy filled, and the bot class of a user's day."""
    of_copies, of_class = [*FILLED_BY_COPIES, "last_copy_on"], ["bot_class", "bot_evidence"]
    both = filled.select(*EVENT_KEY, F.struct(*of_copies).alias("filled")).join(
        reclassed.select(*EVENT_KEY, F.struct(*of_class).alias("reclassed")), list(EVENT_KEY), "full"
    )
    changed = _without_tables(both)
    days = [row.arrival_day for row in changed.select("arrival_day").distinct().collect()]
    if not days:
        return
    is_same = reduce(and_, [F.col(f"events.{name}") == F.col(f"new.{name}") for name in EVENT_KEY])
    is_of_days = is_on(F.col("events.arrival_day"), days)  # so that Spark reads the files of these days alone
    groups = {"filled": of_copies, "reclassed": of_class}
    assignments = {
        name: F.when(F.col(f"new.{group}").isNull(), F.col(f"events.{name}")).otherwise(F.col(f"new.{group}.{name}"))
        for group, names in groups.items()
        for name in names
    }
    for group, name in (("filled", "last_copy_on"), ("reclassed", "bot_class")):  # columns that are never null
        assignments[name] = F.coalesce(f"new.{group}.{name}", f"events.{name}")
    changed.alias("new").mergeInto(table("events"), is_of_days & is_same).whenMatched().update(assignments).merge()


def replace_sessions(spark: SparkSession, made: DataFrame, affected: DataFrame) -> DataFrame:
    """Replace the affected sessions by those made; return all sessions of the days that either start on.

    made, affected: checkpoints, since the days that they start on are overwritten.
    """
    days = made.select("started_on").unionAll(affected.select("started_on")).distinct().collect()
    sessions = spark.table(table("sessions"))
    is_renewed = is_on(F.col("started_on"), [row.started_on for row in days])
    if not days:
        return sessions.where(is_renewed)
    kept = sessions.where(is_renewed).join(affected.select("session_id"), "session_id", "left_anti")
    renewed = kept.select(*sessions.columns).unionByName(made.select(*sessions.columns))
    renewed.writeTo(table("sessions")).overwrite(is_renewed)
    return spark.table(table("sessions")).where(is_renewed)


def sessions_by_day(made: DataFrame, events: DataFrame, days: Sequence[date]) -> list[StepRow]:
    """Return per day how many events arrived on it, and how many sessions start on it, among those written."""
    arrived = events.where(is_on(F.col("arrival_day"), days)).select("arrival_day", F.lit(True))
    started = made.select("started_on", F.lit(False))
    counted = arrived.toDF("day", "is_event").unionAll(started).groupBy("day", "is_event").count().collect()
    counts = {(row.day, row.is_event): row["count"] for row in counted}
    return [StepRow(day, counts.get((day, True), 0), {"sessions": counts.get((day, False), 0)}) for day in days]


def sequences_by_day(made: DataFrame, days: Sequence[date]) -> list[StepRow]:
    """Return per as-of day how many sequences were written, and how many events they contain."""
    counted = made.groupBy("as_of").agg(F.count("*").alias("sequences"), F.sum(F.size("item")).alias("events"))
    by_day = {row.as_of: row for row in counted.collect()}
    return [
        StepRow(day, by_day[day].events, {"sequences": by_day[day].sequences})
        if day in by_day
        else StepRow(day, 0, {"sequences": 0})
        for day in days
    ]
