"""The arrival day of each line, and the move of staged lines into the folder of that day."""

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.landing.staging import StagedFile
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Source
from pipeline.transforms.canonical import canonical_lines


def arrival_days(lines: DataFrame, source: Source) -> DataFrame:
    """Add `arrival_day` to lines: the UTC date of received_at, else of event_at, else the day of the line before.

    Lines before the first readable time of a file get the day of that time. In a file without any, the day is null.

    lines: one row per line; needs `source`, `file`, `line`, `text`, `header`.
    """
    canonical = canonical_lines(lines.withColumn("arrival_day", F.lit(None).cast("date")), source)
    own_day = canonical.select("file", "line", F.to_date(F.coalesce("received_at", "event_at")).alias("own_day"))
    # A second, descending sort: a window frame of all later lines would cost quadratic time.
    forwards, backwards = (Window.partitionBy("file").orderBy(order) for order in (F.asc("line"), F.desc("line")))
    day_before = F.last("own_day", ignorenulls=True).over(forwards)
    day_after = F.last("own_day", ignorenulls=True).over(backwards)
    day = F.coalesce(day_before, day_after)
    return lines.join(own_day, ["file", "line"]).withColumn("arrival_day", day).drop("own_day")


def land_events(
    spark: SparkSession,
    zone: LandingZone,
    source: Source,
    logs: Sequence[StagedFile],
    arrival_day: date | None,
    staging: Path,
) -> list[date]:
    """Move staged lines into the folders of their arrival days and close these; return the days, oldest first.

    arrival_day: the day of all lines, if it is known; without lines it is closed as an empty day.

    Raises InputError if there are no lines and no `arrival_day`, or if a file has no line with a readable time.
    """
    if not any(staged.lines for staged in logs) and not arrival_day:
        raise InputError(
            f"no lines for {source.name}: the files are empty; expected a log, or --arrival-day D to land an empty day"
        )
    batch = hashlib.sha256("".join(sorted(staged.sha256 for staged in logs)).encode()).hexdigest()[:16]
    if arrival_day:
        by_day = {arrival_day: [staged.lines_file for staged in logs if staged.lines]}
    else:
        by_day = _split(spark, source, logs, staging / "days")
    for day, files in by_day.items():
        folder = zone.day_folder(source.name, day)
        folder.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(files):
            file.rename(folder / f"{batch}-{number}.parquet")
    for day in by_day:
        zone.close_day(source.name, day)
    return sorted(by_day)


def land_items(zone: LandingZone, source: str, catalogues: Sequence[StagedFile]) -> None:
    """Move staged catalogue files into the catalogue folder, named in the order of landing."""
    folder = zone.items_folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    taken = len(list(folder.glob("*.parquet")))
    for number, staged in enumerate(catalogues, taken):
        staged.lines_file.rename(folder / f"{number:06d}-{staged.sha256[:16]}.parquet")


def _split(spark: SparkSession, source: Source, logs: Sequence[StagedFile], folder: Path) -> dict[date, list[Path]]:
    staged = spark.read.parquet(*[str(file.lines_file) for file in logs]).withColumn("source", F.lit(source.name))
    dated = arrival_days(staged, source).select("file", "line", "text", "header", "arrival_day")
    in_days = dated.repartition("arrival_day").sortWithinPartitions("arrival_day", "file", "line")
    in_days.write.mode("overwrite").partitionBy("arrival_day").option("compression", "zstd").parquet(str(folder))
    names = {part: part.name.removeprefix("arrival_day=") for part in folder.glob("arrival_day=*")}
    if any(name == "__HIVE_DEFAULT_PARTITION__" for name in names.values()):
        raise InputError(
            f"no line of a file of {source.name} has a readable time, so its arrival day is unknown: "
            f"check columns.event_at and columns.received_at of the TOML, or land it with --arrival-day D"
        )
    return {date.fromisoformat(name): sorted(part.glob("*.parquet")) for part, name in names.items()}
