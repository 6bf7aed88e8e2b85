"""Versions of item clusters: which to train, and how to write them."""

from collections.abc import Mapping
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.sources.schema import Source
from pipeline.warehouse.tables import table


def version_of(through: date) -> str:
    return f"clusters-1.{through:%Y%m%d}"


def newest_versions(clusters: DataFrame) -> dict[str, date]:
    """Return the day through which the newest version of each source is trained."""
    rows = clusters.groupBy("source").agg(F.max("trained_through").alias("through")).collect()
    return {row.source: row.through for row in rows}


def sources_to_train(
    sources: Mapping[str, Source], newest: Mapping[str, date], through: date, newest_cleaned: date | None
) -> list[str]:
    """Return the sources with `[clusters]` that have no version trained through this day.

    Raises InputError if no source has `[clusters]`, if the day is not published, or if a version is of a later day.
    """
    with_clusters = sorted(name for name, source in sources.items() if source.clusters.count)
    if not with_clusters:
        raise InputError(
            f"no source has clusters: expected [clusters] with count = 50 or so in the TOML of one of "
            f"{', '.join(sorted(sources)) or '(nothing landed)'}; add it and land a file of that source with it"
        )
    if newest_cleaned is None or through > newest_cleaned:
        raise InputError(
            f"clusters through {through} lack days: the newest published day is {newest_cleaned or 'none'}; "
            f"run the days up to {through} first, or train through an earlier one"
        )
    for name in with_clusters:
        if name in newest and newest[name] > through:
            raise InputError(
                f"{version_of(newest[name])} of {name} is trained on days after {through}: an earlier version would "
                f"change the tags of cleaned days; train through {newest[name]} or later"
            )
    return [name for name in with_clusters if newest.get(name) != through]


def newest_tags(clusters: DataFrame, source: str, newest: Mapping[str, date]) -> DataFrame:
    """Return `item_id` and `tag` of the newest version of a source; no rows if it has none."""
    is_newest = (F.col("source") == source) & (F.col("trained_through") == F.lit(newest.get(source)).cast("date"))
    return clusters.where(is_newest).select("item_id", "tag")


def add_version(spark: SparkSession, made: DataFrame, source: str, through: date) -> None:
    """Add the version of a source that was trained through a day."""
    rows = made.withColumns(
        {"version": F.lit(version_of(through)), "source": F.lit(source), "trained_through": F.lit(through)}
    )
    rows.select(*spark.table(table("item_clusters")).columns).coalesce(1).writeTo(table("item_clusters")).append()
