"""Write what cleaning made: events, rejects, items, and who logged in on which device."""

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.clean import Cleaned
from pipeline.clean_plan import CleanPlan
from pipeline.devices import device_users
from pipeline.duplicates import FILLED_BY_COPIES, IDENTITY
from pipeline.items import touched_items
from pipeline.warehouse.tables import table


def write_events(spark: SparkSession, plan: CleanPlan, cleaned: Cleaned) -> None:
    """Replace the planned arrival days in `events` and `rejects`, and complete earlier events by their copies."""
    days = F.col("arrival_day").between(plan.first, plan.last)
    events = cleaned.events.select(*spark.table(table("events")).columns)
    events.sortWithinPartitions("user_id", "event_at").writeTo(table("events")).overwrite(days)
    cleaned.rejects.select(*spark.table(table("rejects")).columns).writeTo(table("rejects")).overwrite(days)
    _update(cleaned.filled, IDENTITY, [*FILLED_BY_COPIES, "last_copy_on"])
    _update(cleaned.reclassed, ["source", "event_id", "arrival_day"], ["bot_class", "bot_evidence"])


def write_device_users(spark: SparkSession, plan: CleanPlan, most_users: Mapping[str, int]) -> None:
    """Replace the planned arrival days in `device_users` by what their events tell."""
    days = F.col("arrival_day").between(plan.first, plan.last)
    told = device_users(spark.table(table("events")).where(days), most_users)
    told.select(*spark.table(table("device_users")).columns).writeTo(table("device_users")).overwrite(days)


def write_items(spark: SparkSession, plan: CleanPlan, catalogues: Sequence[DataFrame]) -> None:
    """Add the items of the catalogues and of the planned days' events, or bring them up to date."""
    touched = touched_items(spark.table(table("events")).where(F.col("arrival_day").between(plan.first, plan.last)))
    listed = reduce(
        lambda left, right: left.unionByName(right),
        catalogues,
        spark.createDataFrame([], "item_id string, title string, tags array<string>, content array<float>"),
    ).withColumnRenamed("tags", "listed_tags")
    new = touched.join(listed, "item_id", "full").alias("new")
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
        "item_id": "new.item_id",
        "item": "xxhash64(new.item_id)",
        "title": "new.title",
        "tags": f"{listed_tags} ELSE coalesce(new.tags, array()) END",
        "content": "coalesce(new.content, array())",
        "first_seen_at": "new.first_seen_at",
        "last_seen_at": "new.last_seen_at",
    }
    (
        new.mergeInto(table("items"), F.expr("items.item_id = new.item_id"))
        .whenMatched().update({name: F.expr(rule) for name, rule in renewed.items()})
        .whenNotMatched().insert({name: F.expr(rule) for name, rule in added.items()})
        .merge()
    )  # fmt: skip


def _update(changed: DataFrame, identity: Sequence[str], columns: Sequence[str]) -> None:
    if changed.isEmpty():
        return
    is_same = " AND ".join(f"events.{name} = new.{name}" for name in identity)
    assignments = {name: F.expr(f"new.{name}") for name in columns}
    changed.alias("new").mergeInto(table("events"), F.expr(is_same)).whenMatched().update(assignments).merge()
