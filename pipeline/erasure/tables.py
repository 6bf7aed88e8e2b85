"""The tables of an erasure, on a branch that becomes main as a whole: rows deleted, and rows of others as they would be
without these people.
"""

from collections.abc import Collection, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.erasure.journal import Journal
from pipeline.erasure.plan import DayCount, rows_to_delete
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Source
from pipeline.transforms.items import catalogues_of
from pipeline.transforms.rows import frame_of_rows
from pipeline.warehouse.clusters import own_rows, place_items, train_if_enough, with_clusters
from pipeline.warehouse.names import ITEM_KEY
from pipeline.warehouse.tables import table
from pipeline.warehouse.writes import merge_items


def delete_erased(spark: SparkSession, journal: Journal, places: DataFrame) -> None:
    """Delete the rows of the erased people and lines."""
    for name, (rows, on) in rows_to_delete(spark, journal.people, places).items():
        if journal.rows[name]:
            delete_rows(spark, name, rows, on)


def delete_rows(spark: SparkSession, name: str, gone: DataFrame, on: Sequence[str]) -> None:
    """Delete the rows of a table whose columns `on` equal those of a row of `gone`."""
    is_gone = F.expr(" AND ".join(f"{name}.{column} = gone.{column}" for column in on))
    gone.alias("gone").mergeInto(table(name), is_gone).whenMatched().delete().merge()


def recompute_items(spark: SparkSession, zone: LandingZone, items: DataFrame) -> None:
    """Make these items again from the events and the catalogues that there are; one without either goes.

    items: a checkpoint, ITEM_KEY.
    """
    if items.isEmpty():
        return
    delete_rows(spark, "items", items, ITEM_KEY)
    events = spark.table(table("events"))
    is_same = (events.item_space == items.space) & (events.item_id == items.item_id)
    catalogues = [
        one.join(F.broadcast(items), list(ITEM_KEY), "left_semi") for one in catalogues_of(spark, zone).values()
    ]
    merge_items(spark, events.join(F.broadcast(items), is_same, "left_semi"), catalogues)


def write_counts(spark: SparkSession, counts: Sequence[DayCount]) -> None:
    """Make the rows of `runs` of cleaned days say how many lines these days have now. May be repeated."""
    if not counts:
        return
    rows = [(one.source, one.day, one.finished_at, one.rows_in, dict(one.rows_out)) for one in counts]
    schema = "source string, day date, finished string, rows_now bigint, out_now map<string, bigint>"
    new = frame_of_rows(spark, rows, schema)
    is_same = (
        "runs.step = 'clean' AND runs.source = new.source AND runs.day = new.day "
        "AND CAST(runs.finished_at AS STRING) = new.finished"
    )
    changed = {"rows_in": F.expr("new.rows_now"), "rows_out": F.expr("new.out_now")}
    new.alias("new").mergeInto(table("runs"), F.expr(is_same)).whenMatched().update(changed).merge()


def retrain_clusters(spark: SparkSession, sources: dict[str, Source], touched: Collection[str]) -> list[str]:
    """Train the versions of item clusters of these sources again, through the same days, without the erased sessions.

    Returns the names of the sources that have versions. Rare and new items are placed again on the days on which they
    were placed.
    """
    done = []
    for name in with_clusters(sources):
        kept = own_rows(spark, name).select("trained_through", "known_on").distinct().collect()
        if name not in touched or not kept:
            continue
        spark.table(table("item_clusters")).where(F.col("source") != name).writeTo(table("item_clusters")).overwrite(
            F.lit(True)
        )
        trained = {row.trained_through for row in kept}
        for day in sorted(trained | {row.known_on for row in kept}):
            if day in trained:
                train_if_enough(spark, name, sources[name], day)
            place_items(spark, name, sources[name], day, day)
        done.append(name)
    return done
