"""Items, from catalogues and from events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from pipeline.landing.zone import APPLIES_FROM, LandingZone
from pipeline.sources.rules import Sizes
from pipeline.sources.schema import Items
from pipeline.transforms.canonical import excess, expression, is_comment
from pipeline.transforms.identity import id_text, named_tags
from pipeline.transforms.parse import parse_lines
from pipeline.transforms.sessions import IN_ORDER
from pipeline.transforms.union import behind_view, union

ALWAYS = "0001-01-01"  # a catalogue that applies to all days, a record that has no time


@dataclass(frozen=True)
class CatalogueCounts:
    """What the lines of a catalogue hold, without its comments.

    repeated_items: items with several records of one time and different tags, of which the last counts.
    left_out: lines that give no record. example: why the first of them gives none, with its number in its file.
    """

    records: int
    items: int
    repeated_items: int
    left_out: int
    example: str | None

    def warnings(self) -> list[str]:
        """Return what the owner of the catalogue may not expect."""
        found = []
        if self.left_out:
            found.append(f"{self.left_out:,} lines of the catalogue give no item; the first is {self.example}")
        if self.repeated_items:
            found.append(
                f"{self.repeated_items:,} items have several records with other tags, of which the last one counts; "
                "if each line names some of an item's tags, set many_lines = true in [items] of the TOML. Days that "
                "have run already need `throughline rejects replay --source TOML --from DAY`"
            )
        return found


def catalogue(lines: DataFrame, items: Items, space: str, sizes: Sizes = Sizes()) -> DataFrame:
    """Return one row per record of a catalogue: `space`, `item_id`, `title`, `tags`, `content`, `updated_at`,
    `file_order`, `line`, `applies_from`; `tags` is null if the TOML names none.

    lines: landed catalogue lines; needs `file_order` (files in the order of landing), `applies_from` (the first arrival
    day of events that the file applies to; null means all), `line`, `text`, `header`. Lines without a record are left
    out: comments, those that cannot be parsed or have no id, and records larger than `sizes`.
    """
    records = _judged(lines, items, space, sizes).where("problem IS NULL").drop("problem")
    return _one_per_file(records) if items.many_lines else records


def count_records(lines: DataFrame, items: Items, sizes: Sizes = Sizes()) -> CatalogueCounts:
    """Count what `catalogue` makes of lines; one pass over them."""
    judged = _judged(lines, items, "", sizes)
    is_record = F.col("problem").isNull()
    by_item = judged.groupBy(F.when(is_record, F.struct("item_id", "updated_at", "file_order")).alias("of")).agg(
        F.count("*").alias("lines"),
        F.count_distinct(F.array_sort("tags")).alias("choices"),
        F.min(F.when(~is_record, F.struct("file_order", "line", "problem"))).alias("example"),
    )
    is_item = F.col("of").isNotNull()
    records = F.lit(1) if items.many_lines else F.col("lines")
    is_repeated = F.lit(not items.many_lines) & (F.col("choices") > 1)
    [found] = by_item.agg(
        F.sum(F.when(is_item, records).otherwise(0)).alias("records"),
        F.count_distinct("of.item_id").alias("items"),
        F.count_distinct(F.when(is_repeated, F.col("of.item_id"))).alias("repeated_items"),
        F.sum(F.when(~is_item, F.col("lines")).otherwise(0)).alias("left_out"),
        F.min("example").alias("example"),
    ).collect()
    example = f"line {found.example.line}: {found.example.problem}" if found.example else None
    return CatalogueCounts(found.records or 0, found["items"], found.repeated_items, found.left_out or 0, example)


def _judged(lines: DataFrame, items: Items, space: str, sizes: Sizes) -> DataFrame:
    """Return the columns of `catalogue` and `problem`, null if the line is a record; lines but for comments."""
    parsed = parse_lines(lines, items.reader).where(~is_comment(F.col("__text"), items.reader))
    none = "CAST(NULL AS STRING)"
    content = expression(items.content).cast("array<float>") if items.content else F.array().cast("array<float>")
    no_tags = F.lit(None).cast("array<string>")
    tags = named_tags(expression(items.tags).cast("array<string>")) if items.tags else no_tags
    records = parsed.select(
        F.lit(space).alias("space"),
        id_text(expression(items.item_id)).alias("item_id"),
        expression(items.title or none).alias("title"),
        tags.alias("tags"),
        F.coalesce(content, F.array().cast("array<float>")).alias("content"),
        expression(items.updated_at or none).cast("timestamp").alias("updated_at"),
        F.col("__file_order").alias("file_order"),
        F.col("__line").alias("line"),
        F.coalesce("__applies_from", F.lit(ALWAYS).cast("date")).alias("applies_from"),
        F.col("__problem").alias("unreadable"),
    )
    no_id = F.when(F.col("item_id").isNull(), "no item_id")
    problem = F.coalesce("unreadable", no_id, excess(sizes, ["item_id"], ["title"]))
    return records.withColumn("problem", problem).drop("unreadable")


def _one_per_file(records: DataFrame) -> DataFrame:
    """Make the records of an item in a file, with one time, one: all their tags in order, else the last value."""
    in_order = F.array_sort(F.collect_list(F.struct("line", "tags", "title", "content")))
    same = ["space", "item_id", "updated_at", "file_order", "applies_from"]

    def last(name: str, has_value: Callable[[Column], Column]) -> Column:
        return F.try_element_at(F.filter(F.transform("all", lambda one: one[name]), has_value), F.lit(-1))

    return (
        records.groupBy(*same).agg(in_order.alias("all"), F.max("line").alias("line"))
        .withColumns({
            "tags": F.array_distinct(F.flatten(F.transform("all", lambda one: one["tags"]))),
            "title": last("title", lambda title: title.isNotNull()),
            "content": F.coalesce(last("content", lambda one: F.size(one) > 0), F.array().cast("array<float>")),
        })
        .drop("all")
    )  # fmt: skip


def newest_records(records: DataFrame) -> DataFrame:
    """Return one row per item of a catalogue: `space`, `item_id`, `title`, `tags`, `content`, `updated_at` of its
    newest record, the one with the latest `updated_at`, else the last landed.
    """
    newest = Window.partitionBy("item_id").orderBy(
        F.desc_nulls_last("updated_at"), F.desc("file_order"), F.desc("line")
    )
    ranked = records.withColumn("place", F.row_number().over(newest)).where("place = 1")
    tags = F.coalesce("tags", F.array().cast("array<string>"))
    return ranked.select("space", "item_id", "title", tags.alias("tags"), "content", "updated_at")


def items_of_catalogues(catalogues: Sequence[DataFrame]) -> DataFrame:
    """Return one row per item of all catalogues: `space`, `item_id`, `title`, `tags`, `content`.

    If catalogues of several sources list an item of a shared space, the newest record that has a value counts.

    catalogues: as `catalogue` returns them; at least one.
    """

    def newest(name: str, has_value: Column) -> Column:
        return F.max(F.when(has_value, F.struct("updated_at", name)))[name].alias(name)

    lists = [newest(name, F.size(name) > 0) for name in ("tags", "content")]
    records = union([newest_records(one) for one in catalogues])
    return records.groupBy("space", "item_id").agg(newest("title", F.col("title").isNotNull()), *lists)


def with_catalogue_tags(events: DataFrame, catalogues: Sequence[DataFrame]) -> DataFrame:
    """Give events without tags those that their item had at that moment, by the catalogues of their item space.

    A record counts from its `updated_at` on, the first one of an item before it too; of equal times the last landed
    counts. A catalogue applies to events from its `applies_from` on, by their arrival day. So the tags do not depend on
    when a day is cleaned, and a catalogue that lands later changes no earlier day.

    events: needs `item_space`, `item_id`, `event_at`, `arrival_day`, `tags`. catalogues: as `catalogue` returns them.
    """
    if not catalogues:
        return events
    at = F.coalesce("updated_at", F.lit(ALWAYS).cast("timestamp"))
    record = F.struct(at.alias("at"), "file_order", "line", "applies_from", F.col("tags").alias("named"))
    histories = (
        union([one.select("space", "item_id", record.alias("record")) for one in catalogues])
        .where("record.named IS NOT NULL")
        .groupBy(F.col("space").alias("item_space"), "item_id")
        .agg(F.array_sort(F.collect_list("record")).alias("records"))
    )
    known = events.join(F.broadcast(histories), ["item_space", "item_id"], "left")
    applying = F.filter("records", lambda one: one["applies_from"] <= F.col("arrival_day"))
    known = known.withColumn("records", applying)
    moment = F.greatest("event_at", F.get("records", F.lit(0))["at"])
    then = F.try_element_at(F.filter("records", lambda one: one["at"] <= moment), F.lit(-1))["named"]
    own_or_items = F.when(F.size("tags") > 0, F.col("tags")).otherwise(F.coalesce(then, "tags"))
    return known.withColumn("tags", own_or_items).drop("records")


def catalogues_of(spark: SparkSession, zone: LandingZone) -> dict[str, DataFrame]:
    """Return the records of the landed catalogues by source, as `catalogue` returns them."""
    landed = {}
    for name, source in zone.sources().items():
        if source.items and (files := zone.catalogue_files(name)):
            lines = catalogue_lines(spark, files, zone.items_replayed_from(name))
            landed[name] = behind_view(catalogue(lines, source.items, source.item_space, source.sizes))
    return landed


def catalogue_lines(spark: SparkSession, files: Sequence[Path], replayed_from: date | None = None) -> DataFrame:
    """Return the lines of landed catalogue files, as `catalogue` needs them.

    replayed_from: files that apply from a later day on apply from this one on.
    """
    order = F.element_at(F.split(F.col("_metadata.file_path"), "/"), -1)
    day = F.to_date(F.nullif(F.regexp_extract(order, APPLIES_FROM, 1), F.lit("")))
    if replayed_from:
        day = F.when(day.isNotNull(), F.least(day, F.lit(replayed_from.isoformat()).cast("date")))
    return spark.read.parquet(*map(str, files)).withColumns({"file_order": order, "applies_from": day})


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
