"""What a TOML makes of the first lines of a log, before anything lands."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.landing.archives import InputFile
from pipeline.landing.arrival import land_events
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.formats import read_batches
from pipeline.landing.staging import StagedFile, lines_writer
from pipeline.landing.zone import LandingZone
from pipeline.settings import Settings
from pipeline.sources.schema import REASONS, Source
from pipeline.transforms.clean import validate
from pipeline.transforms.parse import landed_lines

LINE = ("file", "line")


@dataclass(frozen=True)
class Trial:
    """Lines by outcome, and a summary of the accepted events.

    Of a line that unfolds into several events, one accepted event makes it accepted; else one that no rule of
    [reject_when] excludes makes it rejected.

    reasons: for each reason of a reject `reason`, `lines`, `detail`, `file`, `line`, `text` (of one example) and
    `is_excluded`, for a rule of [reject_when]. event_types: `event_type` and `events`, the most frequent first.
    tags: `tag` and `events`, at most 10.
    """

    lines: int
    accepted: int
    rejected: int
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

    lines: one row per line of one source, as `land_first_lines` returns them.
    """
    validated = validate(lines, source, secrets.token_bytes(32), settings).persist()
    accepted = validated.where("reason IS NULL")
    day = F.to_date("event_at")
    by_line = validated.groupBy(*LINE).agg(
        F.bool_or(F.col("reason").isNull()).alias("is_accepted"),
        F.coalesce(F.bool_or(F.col("reason").isin(*REASONS)), F.lit(False)).alias("is_rejected"),
    )
    [of_lines] = by_line.agg(
        F.count("*").alias("lines"),
        F.count_if("is_accepted").alias("accepted"),
        F.count_if(~F.col("is_accepted") & F.col("is_rejected")).alias("rejected"),
        F.count_if(~F.col("is_accepted") & ~F.col("is_rejected")).alias("excluded"),
    ).collect()
    [counts] = accepted.agg(
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
        reasons=reasons,
        event_types=[row.asDict() for row in types.collect()],
        tags=[row.asDict() for row in tagged.orderBy(F.desc("events"), "tag").limit(10).collect()],
        **of_lines.asDict(),
        **counts.asDict(),
    )


def land_first_lines(
    spark: SparkSession, source: Source, logs: Sequence[InputFile], count: int, folder: Path
) -> DataFrame:
    """Land the first lines of files in a folder of their own, as `land` does, and return them as `clean` reads them.

    Each file gives an equal part of `count`.

    Raises InputError if a file cannot be read, or has no line with a readable time.
    """
    zone = LandingZone(folder / "landing")
    part = -(-count // len(logs))
    staged = [_stage(log, number, part, source, folder) for number, log in enumerate(logs)]
    land_events(spark, zone, source, staged, None, folder)
    days = list(zone.days(source.name).values())
    return landed_lines(spark, zone, CleanPlan(days, []))[source.name]


def _stage(log: InputFile, number: int, count: int, source: Source, folder: Path) -> StagedFile:
    """Copy the first lines of a file. Two files of one name get different names."""
    name = log.name if not number else f"{log.name}~{number}"
    file = folder / f"{number}.parquet"
    lines = 0
    with lines_writer(file) as writer:
        for batch in read_batches(log, name, source.reader):
            kept = batch.slice(0, count - lines)
            writer.write_batch(kept)
            lines += kept.num_rows
            if lines >= count:
                break
    return StagedFile(log, name, str(number), lines, file)
