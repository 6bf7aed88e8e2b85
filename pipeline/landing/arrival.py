"""The arrival day of each line, and the move of staged lines into the folder of that day."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.landing.staging import StagedFile, lines_writer, thread_pool
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Source
from pipeline.transforms.canonical import with_own_day
from pipeline.transforms.parse import SCHEMA

SMALL_FILE_BYTES = 4 << 20  # unpacked; the smaller files of a day land as one


def arrival_days(lines: DataFrame, source: Source) -> DataFrame:
    """Add `arrival_day` to lines: the UTC date of received_at, else of event_at, else the day of the line before.

    Lines before the first readable time of a file get the day of that time. In a file without any, the day is null.

    lines: one row per line; needs `source`, `file`, `line`, `text`, `header`.
    """
    in_order = Window.partitionBy("file").orderBy("line")
    so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    whole_file = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    newest, first = (
        found("own_day", ignorenulls=True).over(part) for found, part in ((F.last, so_far), (F.first, whole_file))
    )
    return with_own_day(lines, source).withColumn("arrival_day", F.coalesce(newest, first)).drop("own_day")


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
    filled = [staged for staged in logs if staged.lines]
    if not filled and not arrival_day:
        raise InputError(
            f"no lines for {source.name}: the files are empty; expected a log, or --arrival-day D to land an empty day"
        )
    batch = hashlib.sha256("".join(sorted(staged.sha256 for staged in logs)).encode()).hexdigest()[:16]
    if arrival_day:
        by_day = {arrival_day: [staged.lines_file for staged in filled]}
    else:
        by_day = _split(spark, source, filled, staging)
    for day, files in by_day.items():
        folder = zone.day_folder(source.name, day)
        folder.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(_without_small_files(files)):
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


def _split(spark: SparkSession, source: Source, logs: Sequence[StagedFile], staging: Path) -> dict[date, list[Path]]:
    """Return the files of each arrival day, their lines in order.

    Spark finds where in a file a day begins; the lines themselves do not pass through a shuffle.
    """
    lines = spark.read.schema(SCHEMA).parquet(*[str(file.lines_file) for file in logs])
    dated = arrival_days(lines.withColumn("source", F.lit(source.name)), source).select("file", "line", "arrival_day")
    day_before = F.lag("arrival_day").over(Window.partitionBy("file").orderBy("line"))
    starts = dated.withColumn("day_before", day_before).where("day_before IS NULL OR arrival_day != day_before")
    starts.select("file", "line", "arrival_day").write.mode("overwrite").parquet(str(staging / "starts"))
    found = pq.read_table(staging / "starts", read_dictionary=["file"], partitioning=None)
    if found["arrival_day"].null_count:
        raise InputError(
            f"no line of a file of {source.name} has a readable time, so its arrival day is unknown: "
            f"check columns.event_at and columns.received_at of the TOML, or land it with --arrival-day D"
        )
    by_day: dict[date, list[Path]] = {}
    with thread_pool() as pool:
        of_files = [found.filter(pc.equal(found["file"], file.name)) for file in logs]
        for days in pool.map(_split_file, logs, of_files):
            for day, part in days.items():
                by_day.setdefault(day, []).append(part)
    return by_day


def _split_file(staged: StagedFile, starts: pa.Table) -> dict[date, Path]:
    """Write the lines of a staged file into one file per arrival day. A file of a single day stays as it is.

    starts: `line` and `arrival_day` of each line whose day is not that of the line before.
    """
    starts = starts.sort_by("line")
    first_lines, days = starts["line"].to_numpy(), starts["arrival_day"].to_numpy()
    if (days == days[0]).all():
        return {days[0].item(): staged.lines_file}
    parts: dict[date, Path] = {}
    with ExitStack() as stack:
        writers: dict[date, pq.ParquetWriter] = {}
        lines = stack.enter_context(pq.ParquetFile(staged.lines_file))
        for number in range(lines.num_row_groups):
            group = lines.read_row_group(number, use_threads=False)
            day_of_line = days[np.searchsorted(first_lines, group["line"].to_numpy(), side="right") - 1]
            for found in np.unique(day_of_line):
                day = found.item()
                if day not in writers:
                    parts[day] = staged.lines_file.with_suffix(f".{day}.parquet")
                    writers[day] = stack.enter_context(lines_writer(parts[day]))
                writers[day].write_table(group.filter(pa.array(day_of_line == found)))
    return parts


def _without_small_files(files: list[Path]) -> list[Path]:
    """Merge the small files of a day, since reading a thousand of them takes longer than reading their lines."""
    small = [file for file in files if _unpacked_bytes(file) < SMALL_FILE_BYTES]
    if len(small) < 2:
        return files
    merged = small[0].with_suffix(".merged.parquet")
    with lines_writer(merged) as writer:
        for file in small:
            writer.write_table(pq.ParquetFile(file).read(use_threads=False))
    return [merged, *(file for file in files if file not in small)]


def _unpacked_bytes(file: Path) -> int:
    found = pq.read_metadata(file)
    return sum(found.row_group(number).total_byte_size for number in range(found.num_row_groups))
