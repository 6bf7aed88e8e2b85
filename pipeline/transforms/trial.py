"""What a TOML makes of the first lines of a log, before anything lands."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.landing.formats import read_batches
from pipeline.settings import Settings
from pipeline.sources.schema import REASONS, Source
from pipeline.transforms.canonical import with_own_day
from pipeline.transforms.clean import validate

LINE = ("file", "line")


@dataclass(frozen=True)
class Trial:
    """Lines by outcome, and a summary of the accepted events.

    reasons: for each reason of a reject `reason`, `lines`, `detail`, `file`, `line`, `text` (of one example) and
    `is_excluded`, for a rule of [reject_when]. event_types: `event_type` and `events`, the most frequent first.
    tags: `tag` and `events`, at most 10.
    """

    lines: int
    accepted: int
    excluded: int
    events: int
    users: int
    items: int
    first_day: str | None
    last_day: str | None
    days: int
    without_tags: int
    reasons: list[dict[str, Any]]
    event_types: list[dict[str, Any]]
    tags: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the trial as JSON can hold it."""
        return asdict(self)


def trial(lines: DataFrame, source: Source, settings: Settings) -> Trial:
    """Validate lines as `clean` does, by the same functions, and count what becomes of them.

    lines: one row per line of one source; needs `source`, `file`, `line`, `text`, `header`.
    """
    dated = with_own_day(lines.withColumn("arrival_day", F.lit(None).cast("date")), source)
    arrived = dated.withColumn("arrival_day", F.coalesce("own_day", F.current_date())).drop("own_day")
    validated = validate(arrived, source, secrets.token_bytes(32), settings).persist()
    accepted = validated.where("reason IS NULL")
    day = F.to_date("event_at")
    [counts] = accepted.agg(
        F.count_distinct(*LINE).alias("accepted"),
        F.count("*").alias("events"),
        F.count_distinct("user_id").alias("users"),
        F.count_distinct("item_id").alias("items"),
        F.min(day).cast("string").alias("first_day"),
        F.max(day).cast("string").alias("last_day"),
        F.count_distinct(day).alias("days"),
        F.count_if(F.size("tags") == 0).alias("without_tags"),
    ).collect()
    refused = validated.where("reason IS NOT NULL").withColumn("example", F.struct(*LINE, "detail", "text"))
    by_reason = refused.groupBy("reason").agg(F.count_distinct(*LINE).alias("lines"), F.min("example").alias("example"))
    reasons = [
        {"reason": row.reason, "lines": row.lines, "is_excluded": row.reason not in REASONS, **row.example.asDict()}
        for row in by_reason.orderBy(F.desc("lines"), "reason").collect()
    ]
    types = accepted.groupBy("event_type").agg(F.count("*").alias("events")).orderBy(F.desc("events"), "event_type")
    tagged = accepted.select(F.explode("tags").alias("tag")).groupBy("tag").agg(F.count("*").alias("events"))
    return Trial(
        lines=lines.count(),
        excluded=sum(row["lines"] for row in reasons if row["is_excluded"]),
        reasons=reasons,
        event_types=[row.asDict() for row in types.collect()],
        tags=[row.asDict() for row in tagged.orderBy(F.desc("events"), "tag").limit(10).collect()],
        **counts.asDict(),
    )


def first_lines(logs: Sequence[Path], source: Source, count: int) -> Iterator[pa.RecordBatch]:
    """Yield the first lines of the files, an equal part of each, `count` in all."""
    for log in logs:
        left = -(-count // len(logs))
        for batch in read_batches(log, log.name, source.reader):
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                break
