"""Items of which earlier versions wrote several rows.

Where a log has no catalogue, each night of version 0.1 inserted another row of every item that it saw again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.warehouse.names import ITEM_KEY
from pipeline.warehouse.tables import set_property, table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ONE_ROW_PROPERTY = "throughline.items-have-one-row"  # of the table of events


def merge_item_copies(spark: "SparkSession", properties: Mapping[str, str]) -> None:
    """Make one row of each item in `items`, once for a warehouse. Call it on main; the next release shows the rows.

    Title and content come from the newest row that has one, tags from the newest row.
    properties: those of the table of events.
    """
    from pyspark.sql import functions as F

    if ONE_ROW_PROPERTY in properties:
        return
    items = spark.table(table("items"))
    seen_at = F.coalesce("last_seen_at", F.timestamp_seconds(F.lit(0)))
    has_content = F.size("content") > 0
    merged = items.groupBy(*ITEM_KEY).agg(
        F.count("*").alias("copies"),
        F.first("item").alias("item"),
        F.max_by("title", F.when(F.col("title").isNotNull(), seen_at)).alias("title"),
        F.max_by("tags", seen_at).alias("tags"),
        F.coalesce(F.max_by("content", F.when(has_content, seen_at)), F.first("content")).alias("content"),
        F.min("first_seen_at").alias("first_seen_at"),
        F.max("last_seen_at").alias("last_seen_at"),
    ).localCheckpoint()  # fmt: skip
    doubled = merged.where("copies > 1").count()
    if doubled:
        merged.select(*items.columns).writeTo(table("items")).overwrite(F.lit(True))
        print(f"table {table('items')}: {doubled:,} items had several rows of an earlier version, now one", flush=True)
    set_property(spark, ONE_ROW_PROPERTY, "true")
