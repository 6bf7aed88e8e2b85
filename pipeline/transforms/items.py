"""Items, from catalogues and from events."""

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Items
from pipeline.transforms.expressions import expression
from pipeline.transforms.identity import id_text
from pipeline.transforms.parse import parse_lines
from pipeline.transforms.sessions import IN_ORDER


def catalogue(lines: DataFrame, items: Items, space: str) -> DataFrame:
    """Return one row per item of a catalogue: `space`, `item_id`, `title`, `tags`, `content`; the newest record wins.

    lines: landed catalogue lines; needs `file_order` (files in the order of landing), `line`, `text`, `header`.
    Lines that cannot be parsed are dropped.
    """
    parsed = parse_lines(lines.withColumnRenamed("file_order", "arrival_day"), items.reader).where("__problem IS NULL")
    none = "CAST(NULL AS STRING)"
    tags = expression(items.tags or none).cast("array<string>") if items.tags else F.array().cast("array<string>")
    content = expression(items.content).cast("array<float>") if items.content else F.array().cast("array<float>")
    updated_at = expression(items.updated_at or none).cast("timestamp")
    records = parsed.select(
        id_text(expression(items.item_id)).alias("item_id"),
        expression(items.title or none).alias("title"),
        F.coalesce(
            F.array_distinct(F.filter(tags, lambda tag: F.trim(tag) != "")), F.array().cast("array<string>")
        ).alias("tags"),
        F.coalesce(content, F.array().cast("array<float>")).alias("content"),
        updated_at.alias("updated_at"),
        F.col("__arrival_day").alias("file_order"),
        F.col("__line").alias("line"),
    ).where("item_id IS NOT NULL")
    newest = Window.partitionBy("item_id").orderBy(
        F.desc_nulls_last("updated_at"), F.desc("file_order"), F.desc("line")
    )
    ranked = records.withColumn("place", F.row_number().over(newest)).where("place = 1")
    return ranked.select(F.lit(space).alias("space"), "item_id", "title", "tags", "content")


def catalogues_of(spark: SparkSession, zone: LandingZone) -> dict[str, DataFrame]:
    """Return the landed catalogues by source, as `catalogue` returns them."""
    landed = {}
    for name, source in zone.sources().items():
        files = sorted(str(file) for file in zone.items_folder(name).glob("*.parquet"))
        if source.items and files:
            order = F.element_at(F.split(F.col("_metadata.file_path"), "/"), -1)
            lines = spark.read.parquet(*files).withColumn("file_order", order)
            landed[name] = catalogue(lines, source.items, source.item_space)
    return landed


def items_of_events(events: DataFrame) -> DataFrame:
    """Return one row per item of the events: `space`, `item_id`, `tags` of its newest event, `first_seen_at`,
    `last_seen_at`.

    events: one row per event; needs `item_space`, `item_id`, `tags` and IN_ORDER.
    """
    newest_tags = F.max_by("tags", F.struct(*IN_ORDER))
    return (
        events.where("item_id IS NOT NULL")
        .groupBy(F.col("item_space").alias("space"), "item_id")
        .agg(
            newest_tags.alias("tags"), F.min("event_at").alias("first_seen_at"), F.max("event_at").alias("last_seen_at")
        )
    )
