"""Items that a version of clusters does not know, since they are rare or new: placed by the items of their sessions."""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

ROUNDS = 3  # in each, the items placed before place others; sessions of new items alone need more than one

PLACED_COLUMNS = ("version", "item_id", "tag", "cluster", "similarity", "session_count", "trained_through", "known_on")


def placed_items(sessions: DataFrame, clusters: DataFrame, through: date) -> list[DataFrame]:
    """Return PLACED_COLUMNS of the items that get a tag, one row per version and item, in one frame a round.

    On the first day on which an item is known in a session together with items that have a tag, it gets the tag of most
    of these, over all such sessions of that day or before; of equals, that of the lowest cluster. Later sessions change
    nothing, so the tag as of a day depends on no later event.

    sessions: one row per session of one source; see `items_of_sessions`. clusters: the rows of the source with
    PLACED_COLUMNS.
    """
    seen = items_seen(sessions, through).localCheckpoint()
    near = clusters.select(*PLACED_COLUMNS).localCheckpoint()
    versions = near.select("version", "trained_through").distinct()
    unknown = _without(seen.crossJoin(F.broadcast(versions)), near).localCheckpoint()
    rounds = []
    for _ in range(ROUNDS):
        # No item that is unknown still was near one of an earlier round.
        near = _placed_by(near, unknown, seen).localCheckpoint()
        rounds.append(near)
        unknown = _without(unknown, near).localCheckpoint()
    return rounds  # apart, since Spark 4.1 fails on a union of checkpoints of such joins: key not found


def items_seen(sessions: DataFrame, through: date) -> DataFrame:
    """Return one row per session and item: `session_id`, `item_id`, `seen_on` (UTC day), known through a day."""
    events = sessions.where("is_counted").select("session_id", F.explode("events").alias("event"))
    known_on = F.greatest(F.col("event.arrival_day"), F.to_date("event.event_at"))
    seen = events.select("session_id", F.col("event.item_id").alias("item_id"), known_on.alias("seen_on"))
    seen = seen.where(F.col("item_id").isNotNull() & (F.col("seen_on") <= F.lit(through)))
    return seen.groupBy("session_id", "item_id").agg(F.min("seen_on").alias("seen_on"))


def _without(unknown: DataFrame, known: DataFrame) -> DataFrame:
    """Return the rows of `unknown` whose version does not know their item."""
    has_tag = known.select(F.col("version").alias("its_version"), F.col("item_id").alias("its_item"))
    is_known = (F.col("version") == F.col("its_version")) & (F.col("item_id") == F.col("its_item"))
    return unknown.join(has_tag, is_known, "left_anti")


def _placed_by(known: DataFrame, unknown: DataFrame, seen: DataFrame) -> DataFrame:
    """Return PLACED_COLUMNS of the items of `unknown` that share a session with items of `known`."""
    neighbours = seen.join(known, "item_id").select(
        F.col("version").alias("near_version"),
        F.col("session_id").alias("near_session"),
        "cluster",
        "tag",
        F.greatest("seen_on", "known_on").alias("ready_on"),
    )
    is_near = (F.col("version") == F.col("near_version")) & (F.col("session_id") == F.col("near_session"))
    pairs = unknown.join(neighbours, is_near).withColumn("known_on", F.greatest("seen_on", "ready_on"))
    of_item = ["version", "trained_through", "item_id"]
    first = pairs.withColumn("first_on", F.min("known_on").over(Window.partitionBy(of_item))).where(
        "known_on = first_on"
    )
    votes = first.groupBy(*of_item, "known_on", "cluster", "tag").agg(
        F.count("*").alias("votes"), F.countDistinct("session_id").cast("int").alias("session_count")
    )
    all_votes = F.sum("votes").over(Window.partitionBy(of_item))
    most_first = Window.partitionBy(of_item).orderBy(F.desc("votes"), "cluster")
    ranked = votes.withColumns({"similarity": F.col("votes") / all_votes, "place": F.row_number().over(most_first)})
    return ranked.where("place = 1").select(*PLACED_COLUMNS)
