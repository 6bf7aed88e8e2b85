"""Versions of item clusters: when to train one, and how to write it and the items that it did not know."""

from collections.abc import Mapping
from datetime import date, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.sources.schema import Source
from pipeline.warehouse.tables import table

FIRST_SESSIONS = 500  # a range of days trains its first version when it has as many; a night trains with what there is


def version_of(through: date) -> str:
    return f"clusters-1.{through:%Y%m%d}"


def with_clusters(sources: Mapping[str, Source]) -> list[str]:
    """Return the names of the sources whose items are clustered."""
    return sorted(name for name, source in sources.items() if source.cluster_count)


def require_trainable(sources: Mapping[str, Source], through: date, newest_cleaned: date | None) -> list[str]:
    """Return the names of the sources to train.

    Raises InputError if there is none, or if the day is not published.
    """
    names = with_clusters(sources)
    if not names:
        raise InputError(
            f"no source has clusters: expected one that names items and no tags, or [clusters] with count = 50 or so "
            f"in the TOML of one of {', '.join(sorted(sources)) or '(nothing landed)'}; add it and land a file of that "
            f"source with it"
        )
    if newest_cleaned is None or through > newest_cleaned:
        raise InputError(
            f"clusters through {through} lack days: the newest published day is {newest_cleaned or 'none'}; "
            f"run the days up to {through} first, or train through an earlier one"
        )
    return names


def days_to_train(sessions_by_day: Mapping[date, int], newest: date | None, first: date, last: date) -> list[date]:
    """Return the days from `first` to `last` on which a version is due, oldest first.

    It is due when the sessions have doubled since the version before. Without one it is due at the end of the run, or
    as soon as there are FIRST_SESSIONS.

    newest: the day of the newest version through `last`, None if there is none.
    """
    before = sum(count for day, count in sessions_by_day.items() if newest and day <= newest)
    wanted, known, days = max(FIRST_SESSIONS, 2 * before) if newest is None else 2 * before, 0, []
    for day in sorted(sessions_by_day):
        known += sessions_by_day[day]
        if known >= wanted and first <= day <= last:
            days.append(day)
            wanted = 2 * known
    return days or ([last] if newest is None else [])


def own_rows(spark: SparkSession, source: str) -> DataFrame:
    """Return the rows of a source that a model can read; those of version 0.1.0 lack `item`."""
    return spark.table(table("item_clusters")).where((F.col("source") == source) & F.col("item").isNotNull())


def versions(spark: SparkSession, source: str) -> list[date]:
    """Return the days through which the versions of a source are trained, oldest first."""
    return sorted(row.trained_through for row in own_rows(spark, source).select("trained_through").distinct().collect())


def cluster_items(spark: SparkSession, sources: Mapping[str, Source], first: date, last: date) -> None:
    """Train the versions that are due on the days of a run, and place the items that earlier ones do not know.

    Too few items are no failure: a later night trains.
    """
    for name in with_clusters(sources):
        counted = spark.table(table("sessions")).where((F.col("source") == name) & F.col("is_counted"))
        by_day = {row.started_on: row["count"] for row in counted.groupBy("started_on").count().collect()}
        earlier = [day for day in versions(spark, name) if day <= last]
        due = days_to_train(by_day, earlier[-1] if earlier else None, first, last)
        for day in due:
            train_if_enough(spark, name, sources[name], day)
        if last not in due and all(day > last for day in versions(spark, name)):
            train_if_enough(spark, name, sources[name], last)
        place_items(spark, name, sources[name], first, last)


def train_if_enough(spark: SparkSession, name: str, source: Source, through: date) -> None:
    """Add a version, or print why there are too few items."""
    try:
        train_version(spark, name, source, through)
    except InputError as error:
        print(f"no clusters of {name} as of {through}: {error}", flush=True)


def train_version(spark: SparkSession, name: str, source: Source, through: date) -> None:
    """Add the version of a source that is trained through a day."""
    from pipeline.transforms.item_clusters import item_clusters  # pyspark.ml takes time to import

    earlier = [day for day in versions(spark, name) if day < through]
    is_before = F.col("trained_through") == (F.lit(earlier[-1]) if earlier else F.lit(None).cast("date"))
    before = own_rows(spark, name).where(is_before).select("item_id", "tag").localCheckpoint()
    sessions = spark.table(table("sessions")).where(F.col("source") == name)
    items = spark.table(table("items")).where(F.col("space") == source.item_space)
    made = item_clusters(sessions, items, before, through, source.cluster_count, source.clusters.least_sessions)
    made = made.withColumns(
        {"version": F.lit(version_of(through)), "trained_through": F.lit(through), "known_on": F.lit(through)}
    ).localCheckpoint()
    _append(spark, made, name, source)
    print(f"{version_of(through)} of {name}: {made.count()} items in clusters", flush=True)


def place_items(spark: SparkSession, name: str, source: Source, first: date, last: date) -> None:
    """Add the items of the days from `first` to `last` to the versions that do not know them.

    To a version that was trained on these days, all items are added.
    """
    from pipeline.transforms.placed_items import placed_items

    known = own_rows(spark, name).where(F.col("trained_through") <= F.lit(last))
    through = [day for day in versions(spark, name) if day <= last]
    if not through:
        return
    sessions = spark.table(table("sessions")).where(F.col("source") == name)
    if through[-1] < first:  # sessions of the day before may go on
        sessions = sessions.where(F.col("started_on") >= F.lit(first - timedelta(days=1)))
    placed = placed_items(sessions, known, last)
    for rows in placed:
        _append(spark, rows, name, source)
    print(f"clusters of {name}: {sum(rows.count() for rows in placed)} rare or new items placed", flush=True)


def _append(spark: SparkSession, rows: DataFrame, name: str, source: Source) -> None:
    item = F.xxhash64(F.lit(source.item_space), "item_id")
    rows = rows.withColumns({"source": F.lit(name), "item": item})
    rows.select(*spark.table(table("item_clusters")).columns).coalesce(1).writeTo(table("item_clusters")).append()
