"""What a TOML makes of the first lines of a log, before anything lands."""

import secrets
import sys
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
from pipeline.sources.schema import REASONS, Reader, Source
from pipeline.transforms.clean import validate
from pipeline.transforms.items import catalogue, catalogue_lines, count_records, with_catalogue_tags
from pipeline.transforms.parse import landed_lines

LINE = ("file", "line")


@dataclass(frozen=True)
class Trial:
    """Lines by outcome, and a summary of the accepted events.

    Of a line that unfolds into several events, one accepted event makes it accepted; else one that no rule of
    [reject_when] excludes makes it rejected.

    reasons: for each reason of a reject `reason`, `lines`, `detail`, `file`, `line`, `text` (of one example) and
    `is_excluded`, for a rule of [reject_when]. event_types: `event_type` and `events`, the most frequent first.
    tags: `tag` and `events`, at most 10. catalogue: what the catalogues of items hold, and what is wrong with them;
    None if there is none.
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
    catalogue: list[str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the trial as JSON can hold it."""
        return asdict(self)


def trial(lines: DataFrame, source: Source, settings: Settings, of_catalogues: DataFrame | None = None) -> Trial:
    """Validate lines as `clean` does, by the same functions, and count what becomes of them.

    lines: one row per line of one source, as `land_first_lines` returns them. of_catalogues: the lines of its
    catalogues of items, as `stage_catalogues` returns them, if there are any.
    """
    validated = validate(lines, source, secrets.token_bytes(32), settings)
    about_items = None
    if of_catalogues is not None and source.items:
        records = catalogue(of_catalogues, source.items, source.item_space, source.sizes)
        validated = with_catalogue_tags(validated, [records])
        held = count_records(of_catalogues, source.items, source.sizes)
        about_items = [f"{held.records:,} records of {held.items:,} items", *held.warnings()]
    validated = validated.persist()
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
        catalogue=about_items,
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
    staged = [_stage(log, number, part, source.reader, folder) for number, log in enumerate(logs)]
    land_events(spark, zone, source, staged, None, folder)
    days = list(zone.days(source.name).values())
    return landed_lines(spark, zone, CleanPlan(days, []))[source.name]


def stage_catalogues(spark: SparkSession, source: Source, files: Sequence[InputFile], folder: Path) -> DataFrame | None:
    """Return all lines of catalogues of items as `catalogue` needs them; None if there is none.

    Raises InputError if a file cannot be read.
    """
    if not files or not source.items:
        return None
    own = folder / "catalogues"
    own.mkdir()
    staged = [_stage(file, number, sys.maxsize, source.items.reader, own) for number, file in enumerate(files)]
    return catalogue_lines(spark, [one.lines_file for one in staged])


def _stage(log: InputFile, number: int, count: int, reader: Reader, folder: Path) -> StagedFile:
    """Copy the first lines of a file. Two files of one name get different names."""
    name = log.name if not number else f"{log.name}~{number}"
    file = folder / f"{number}.parquet"
    lines = 0
    with lines_writer(file) as writer:
        for batch in read_batches(log, name, reader):
            kept = batch.slice(0, count - lines)
            writer.write_batch(kept)
            lines += kept.num_rows
            if lines >= count:
                break
    return StagedFile(log, name, str(number), lines, file)
