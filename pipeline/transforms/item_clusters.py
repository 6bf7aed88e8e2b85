"""Clusters of items that occur in the same sessions. They serve as tags for a log without tags.

Word2Vec (Mikolov et al. 2013) fits a vector per item from the items around it in sessions; KMeans clusters the vectors
by direction. A cluster that persists from one version to the next keeps its tag.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import Normalizer, StandardScaler, Word2Vec
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.transforms.rows import frame_of_rows

SEED = 20260131
VECTOR_SIZE = 32
PASSES = 30  # a small log has few occurrences per item; 10 passes found half as much on Taobao
WINDOW = 10  # items before and after, so that both ends of a usual session are in one window
MAX_SESSIONS = 200_000  # the newest; Word2Vec reads them in one thread, since only then are two runs equal
MAX_TITLE_CHARACTERS = 40  # of a title in a tag
FEWEST_SESSIONS = 2  # of an item, in a log that has few items of more
LEAST_ITEMS = 4  # per cluster, on average; a small log gets fewer clusters than asked for


def cluster_tags(typical: Mapping[int, Sequence[str]], before: Mapping[int, Mapping[str, int]]) -> dict[int, str]:
    """Return the tag of each cluster; no two are equal.

    A cluster keeps an old tag if more than half of its items with a tag had it. If several clusters qualify, the one
    with most of these items keeps it. The others are named after their typical items.

    typical: titles of each cluster's most typical items. before: number of its items by former tag.
    """
    tags = dict[int, str]()
    for _, cluster, old in sorted(_claims(before)):
        if old not in tags.values():
            tags[cluster] = old
    for cluster, names in sorted(typical.items()):
        tags.setdefault(cluster, _not_among({*tags.values()}, f"like {' & '.join(names)}"))
    return tags


def _claims(before: Mapping[int, Mapping[str, int]]) -> list[tuple[int, int, str]]:
    """Return (-items, cluster, tag) for each cluster that may keep a tag."""
    return [
        (-count, cluster, old)
        for cluster, counts in before.items()
        for old, count in counts.items()
        if 2 * count > sum(counts.values())
    ]


def _not_among(taken: set[str], wanted: str) -> str:
    tag, number = wanted, 1
    while tag in taken:
        number += 1
        tag = f"{wanted} ({number})"
    return tag


def item_clusters(
    sessions: DataFrame, items: DataFrame, before: DataFrame, through: date, count: int, least_sessions: int
) -> DataFrame:
    """Return one row per item of one source with at least `least_sessions` sessions: `item_id`, `tag`, `cluster`,
    `similarity`, `session_count`. If these are too few for `count` clusters, items of fewer sessions belong to them,
    down to two. There are `count` clusters, or one for every four such items if that is fewer.

    sessions: one row per session of the source; see `items_of_sessions`. items: one row per item; needs `item_id`,
    `title`. before: `item_id` and `tag` of the source's version before; clusters that persist keep their tags.

    Raises InputError if such items are too few for two clusters.
    """
    item_lists = items_of_sessions(sessions, through).localCheckpoint()
    all_counts = session_counts(item_lists, min(least_sessions, FEWEST_SESSIONS)).localCheckpoint()
    by_count = {row.session_count: row["count"] for row in all_counts.groupBy("session_count").count().collect()}
    least, found = enough_items(by_count, LEAST_ITEMS * count, least_sessions)
    if found < 2 * LEAST_ITEMS:
        raise InputError(
            f"{found} items occur in {least} or more sessions, with another item, known through {through}; two "
            f"clusters need {2 * LEAST_ITEMS}: land more of the log"
        )
    counts = all_counts.where(F.col("session_count") >= least)
    placed = clustered(item_vectors(item_lists, least), min(count, found // LEAST_ITEMS))
    members = placed.join(counts, "item_id").localCheckpoint()
    tags = cluster_tags(typical_items(members, items), tags_before(members, before))
    named = frame_of_rows(members.sparkSession, list(tags.items()), "cluster int, tag string")
    return members.join(F.broadcast(named), "cluster").select(
        "item_id", "tag", "cluster", "similarity", "session_count"
    )


def enough_items(by_count: Mapping[int, int], wanted: int, least_sessions: int) -> tuple[int, int]:
    """Return the number of sessions that an item needs, and how many items have as many.

    It is `least_sessions`, or fewer, down to FEWEST_SESSIONS, if that gives less than the `wanted` items.

    by_count: the number of items by their number of sessions.
    """
    least = least_sessions
    while True:
        found = sum(items for sessions, items in by_count.items() if sessions >= least)
        if found >= wanted or least <= FEWEST_SESSIONS:
            return least, found
        least -= 1


def items_of_sessions(sessions: DataFrame, through: date) -> DataFrame:
    """Return one row per session with at least two items known through a day: `started_at`, `session_id`, `items`.

    An item counts once per session, at its first position.

    sessions: one row per session; needs `session_id`, `started_at`, `is_counted` and `events`.
    """
    known_items = F.filter(
        "events",
        lambda event: (
            (F.greatest(event.arrival_day, F.to_date(event.event_at)) <= F.lit(through)) & event.item_id.isNotNull()
        ),
    )
    items = F.array_distinct(F.transform(known_items, lambda event: event.item_id))
    return (
        sessions.where("is_counted")
        .select("started_at", "session_id", items.alias("items"))
        .where(F.size("items") >= 2)
    )


def session_counts(item_lists: DataFrame, least_sessions: int) -> DataFrame:
    """Return one row per item of at least `least_sessions` sessions: `item_id`, `session_count`."""
    counted = item_lists.select(F.explode("items").alias("item_id")).groupBy("item_id")
    return counted.agg(F.count("*").cast("int").alias("session_count")).where(F.col("session_count") >= least_sessions)


def item_vectors(item_lists: DataFrame, least_sessions: int) -> DataFrame:
    """Return one row per item of at least `least_sessions` sessions: `item_id`, `vector` of length 1.

    Equal sessions give exactly equal vectors: they are read in one order, by one thread.

    item_lists: one row per session; needs `started_at`, `session_id`, `items`.
    """
    newest = item_lists.orderBy(F.desc("started_at"), "session_id").limit(MAX_SESSIONS)
    in_order = newest.repartition(1).sortWithinPartitions("started_at", "session_id")
    word2vec = Word2Vec(
        vectorSize=VECTOR_SIZE, windowSize=WINDOW, maxIter=PASSES, minCount=least_sessions, numPartitions=1, seed=SEED,
        inputCol="items", outputCol="mean",
    )  # fmt: skip
    fitted = word2vec.fit(in_order).getVectors().repartition(1).sortWithinPartitions("word")
    # The mean vector is common to all items and separates none.
    centred = StandardScaler(withMean=True, withStd=False, inputCol="vector", outputCol="centred").fit(fitted)
    directions = Normalizer(inputCol="centred", outputCol="direction").transform(centred.transform(fitted))
    return directions.select(F.col("word").alias("item_id"), F.col("direction").alias("vector")).localCheckpoint()


def clustered(vectors: DataFrame, count: int) -> DataFrame:
    """Return one row per item: `item_id`, `cluster`, `similarity` (cosine to the centre of its cluster)."""
    kmeans = KMeans(k=count, seed=SEED, maxIter=50, distanceMeasure="cosine", featuresCol="vector",
                    predictionCol="cluster")  # fmt: skip
    model = kmeans.fit(vectors)
    spark = vectors.sparkSession
    centres = frame_of_rows(
        spark,
        [(number, centre.tolist()) for number, centre in enumerate(model.clusterCenters())],
        "cluster int, centre array<double>",
    )
    product = F.zip_with(vector_to_array(F.col("vector")), "centre", lambda left, right: left * right)
    length = F.sqrt(F.aggregate("centre", F.lit(0.0), lambda total, part: total + part * part))
    cosine = F.aggregate(product, F.lit(0.0), lambda total, part: total + part) / length
    return (
        model.transform(vectors)
        .join(F.broadcast(centres), "cluster")
        .select("item_id", "cluster", cosine.alias("similarity"))
    )


def typical_items(members: DataFrame, items: DataFrame) -> Mapping[int, list[str]]:
    """Return the titles (else ids) of the two most typical items of each cluster: many sessions, near its centre.

    members: one row per item; needs `item_id`, `cluster`, `similarity`, `session_count`.
    """
    typical_first = Window.partitionBy("cluster").orderBy(
        F.desc(F.col("session_count") * F.col("similarity")), "item_id"
    )
    typical = members.withColumn("place", F.row_number().over(typical_first)).where("place <= 2")
    title = F.coalesce(F.expr("nullif(trim(title), '')"), "item_id")
    shortened = F.concat(F.substring(title, 1, MAX_TITLE_CHARACTERS - 1), F.lit("…"))
    short = F.when(F.length(title) > MAX_TITLE_CHARACTERS, shortened)
    titled = typical.join(items.select("item_id", "title"), "item_id", "left")
    rows = titled.select("cluster", "place", F.coalesce(short, title).alias("title")).orderBy("cluster", "place")
    titles: dict[int, list[str]] = {}
    for row in rows.collect():
        titles.setdefault(row.cluster, []).append(row.title)
    return titles


def tags_before(members: DataFrame, before: DataFrame) -> Mapping[int, Mapping[str, int]]:
    """Return by cluster the number of its items per tag of the version before."""
    shared = members.join(before.select("item_id", F.col("tag").alias("old")), "item_id").groupBy("cluster", "old")
    counts: dict[int, dict[str, int]] = {}
    for row in shared.count().collect():
        counts.setdefault(row.cluster, {})[row.old] = row["count"]
    return counts
