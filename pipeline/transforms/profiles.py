"""From the scores of a model to rows of the table `profiles`."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import InputError

# The columns of `exchange/<run>/profiles/*.parquet`. tests/contract compares them with model/data/profiles.py.
SCORES = """
    user_id STRING, as_of DATE, horizon_days INT,
    interests ARRAY<STRUCT<
        tag: STRING, affinity: DOUBLE, rank: INT, trend: DOUBLE, is_new: BOOLEAN, evidence: ARRAY<STRING>
    >>,
    top_items ARRAY<STRUCT<
        item: BIGINT, score: DOUBLE, reason: STRING, reason_tag: STRING, reason_item: BIGINT
    >>,
    return_probability DOUBLE, embedding ARRAY<FLOAT>, event_count BIGINT, session_count INT, last_event_at TIMESTAMP,
    cohort STRING, model_version STRING, scored_at TIMESTAMP
"""

MANIFEST = "manifest.json"
TOP_ITEM = {
    "item_id": "string",
    "title": "string",
    "score": "double",
    "reason": "string",
    "reason_tag": "string",
    "reason_item_id": "string",
}


def read_scores(spark: SparkSession, exchange: Path, days: Sequence[date]) -> tuple[DataFrame, dict[str, int]]:
    """Return the scores of a run's days, one row per user and as-of day, and the snapshots that the model read.

    The folder may contain other days, left by an earlier run with the same id; they are ignored.

    Raises InputError if the step `score` of the run, or one of its parts, has not written all these days.
    """
    folders = _folders(exchange)
    manifests = [json.loads((folder / MANIFEST).read_text()) for folder in folders]
    read = {json.dumps(one["input_snapshots"], sort_keys=True) for one in manifests}
    if len(read) > 1:
        raise InputError(f"parts of the scores in {exchange} are of different snapshots: run the step `score` again")
    missing = sorted({str(day) for day in days for one in manifests if str(day) not in one["days"]})
    if missing:
        raise InputError(f"no scores of {', '.join(missing)} in {exchange}: run the step `score` of this run for them")
    files = [str(folder / "profiles" / f"as_of={day}.parquet") for folder in folders for day in days]
    return spark.read.schema(SCORES).parquet(*files), {name: int(one) for name, one in json.loads(*read).items()}


def _folders(exchange: Path) -> list[Path]:
    """Return the folders with the scores of a run: its own, or one for each part of the users.

    Raises InputError if one is missing.
    """
    if (exchange / MANIFEST).is_file():
        return [exchange]
    parts = [one for one in exchange.parent.glob(f"{exchange.name}.part-*-of-*") if (one / MANIFEST).is_file()]
    if not parts:
        raise InputError(f"no scores in {exchange}: the step `score` of this run has not ended; run it first")
    count = int(parts[0].name.rpartition("-")[2])
    wanted = [exchange.with_name(f"{exchange.name}.part-{number}-of-{count}") for number in range(1, count + 1)]
    if missing := [one.name for one in wanted if not (one / MANIFEST).is_file()]:
        raise InputError(f"no scores in {', '.join(missing)}: this part of the step `score` has not ended: run it")
    return wanted


def profiles(
    scores: DataFrame, items: DataFrame, run_id: str, snapshots: Mapping[str, int], code_version: str, config_hash: str
) -> DataFrame:
    """Add `item_id`, `title` and `reason_item_id` to the recommended items, and the provenance columns to every row.

    scores: one row per user and as-of day. items: one row per item; needs `item`, `item_id`, `title`.
    """
    places = scores.select("user_id", "as_of", F.posexplode("top_items").alias("place", "scored"))
    known = F.broadcast(items.select(F.col("item").alias("known_item"), "item_id", "title"))
    follows = F.broadcast(items.select(F.col("item").alias("reason_item"), F.col("item_id").alias("reason_item_id")))
    named = places.join(known, F.col("scored.item") == F.col("known_item")).join(
        follows, F.col("scored.reason_item") == F.col("reason_item"), "left"
    )
    entry = F.struct(
        "place", "item_id", "title", "scored.score", "scored.reason", "scored.reason_tag", "reason_item_id"
    )
    lists = named.groupBy("user_id", "as_of").agg(F.array_sort(F.collect_list(entry)).alias("entries"))
    without_place = F.transform("entries", lambda one: F.struct(*[one[name].alias(name) for name in TOP_ITEM]))
    none = F.array().cast(f"array<struct<{', '.join(f'{name}: {kind}' for name, kind in TOP_ITEM.items())}>>")
    read = F.create_map(*[F.lit(part) for pair in snapshots.items() for part in pair]).cast("map<string, bigint>")
    return (
        scores.drop("top_items")
        .join(lists, ["user_id", "as_of"], "left")
        .withColumns(
            {
                "top_items": F.coalesce(without_place, none),
                "run_id": F.lit(run_id),
                "input_snapshots": read,
                "code_version": F.lit(code_version),
                "config_hash": F.lit(config_hash),
            }
        )
    )
