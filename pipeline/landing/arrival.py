"""The arrival day of each line, and the move of staged lines into the folder of that day."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.landing.plausible import Limits, plausible_limits
from pipeline.landing.staging import StagedFile, lines_writer, thread_pool
from pipeline.landing.zone import LandingZone, catalogue_name
from pipeline.sources.rules import Times
from pipeline.sources.schema import Source
from pipeline.transforms.canonical import with_own_day
from pipeline.transforms.parse import LIMITS, SCHEMA
from throughline.stores import copy, fetched, make_folder, move

LIMIT_FIELDS = tuple(pa.field(name, pa.date32()) for name in LIMITS)
SMALL_FILE_BYTES = 4 << 20  # unpacked; the smaller files of a day land as one


def day_runs(lines: DataFrame, source: Source) -> DataFrame:
    """Return one row per run of lines of a file with the same own day: `file`, `line` and `position` of the first.

    `own_day` is the UTC date of received_at, else of event_at; null where neither is readable. position: 0 for the
    first line of a file.

    lines: one row per line; needs `source`, `file`, `line`, `text`, `header`.
    """
    in_order = Window.partitionBy("file").orderBy("line")
    numbered = with_own_day(lines, source).select(
        "file",
        "line",
        "own_day",
        (F.row_number().over(in_order) - 1).alias("position"),
        F.lag("own_day").over(in_order).alias("day_before"),
    )
    is_first = (F.col("position") == 0) | ~F.col("own_day").eqNullSafe(F.col("day_before"))
    return numbered.where(is_first).drop("day_before")


@dataclass(frozen=True)
class ArrivalDays:
    """The arrival days of the lines of a file: `days[n]` from line `lines[n]` on, up to the next.

    limits: the plausible days, if lines of the file lie outside. `clean` rejects those.
    """

    lines: NDArray[np.int64]
    days: NDArray[np.datetime64]
    limits: Limits | None


def arrival_days(runs: pa.Table, line_count: int, times: Times, has_receipt: bool = False) -> ArrivalDays | None:
    """Return the arrival day of each line of a file: its own, if that is plausible, else the day of the line before.

    Lines before the first plausible day of the file get that day. None if no line has one.

    runs: rows of one file as `day_runs` returns them.
    """
    runs = runs.sort_by("position")
    lines, positions = runs["line"].to_numpy(), runs["position"].to_numpy().astype(np.int64)
    days = runs["own_day"].to_numpy().astype("datetime64[D]")
    lengths = np.diff(positions, append=line_count)
    is_known = ~np.isnat(days)
    if not is_known.any():
        return None
    own_days, own = np.unique(days[is_known], return_inverse=True)
    limits = plausible_limits(own_days, np.bincount(own, lengths[is_known]).astype(np.int64), times, has_receipt)
    is_plausible = limits.contain(days)
    if not is_plausible.any():
        return None
    newest = np.maximum.accumulate(np.where(is_plausible, np.arange(len(days)), -1))
    inherited = days[np.where(newest < 0, is_plausible.argmax(), newest)]
    return ArrivalDays(lines, inherited, limits if (is_known & ~is_plausible).any() else None)


def land_events(
    spark: SparkSession,
    zone: LandingZone,
    source: Source,
    logs: Sequence[StagedFile],
    arrival_day: date | None,
    staging: Path,
    shared: Path | None = None,
) -> list[date]:
    """Move staged lines into the folders of their arrival days and close these; return the days, oldest first.

    arrival_day: the day of all lines, if it is known; without lines it is closed as an empty day. shared: a folder for
    copies of the staged lines, for a Spark that does not see `staging`; the caller deletes it.

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
        by_day = _split(spark, source, filled, staging, shared)
    for day, files in by_day.items():
        folder = zone.day_folder(source.name, day)
        make_folder(folder)
        for number, file in enumerate(_without_small_files(files)):
            move(file, folder / f"{batch}-{number}.parquet")
    for day in by_day:
        zone.close_day(source.name, day)
    return sorted(by_day)


def land_items(
    zone: LandingZone,
    source: str,
    catalogues: Sequence[StagedFile],
    days: Sequence[date],
    arrival_day: date | None = None,
) -> date | None:
    """Move staged catalogue files into the catalogue folder; return the first arrival day that they apply to.

    The first catalogues of a source apply to all days (None). Later ones change no earlier day: they apply from
    `arrival_day` on, if it is given, else from the first of the days that landed with them, else from the day after the
    newest landed day.
    """
    folder = zone.items_folder(source)
    make_folder(folder)
    taken = len(zone.catalogue_files(source))
    newest = max(zone.days(source), default=None)
    after_newest = newest + timedelta(days=1) if newest else None
    first = (arrival_day or min(days, default=after_newest)) if taken else None
    for number, staged in enumerate(catalogues, taken):
        move(staged.lines_file, folder / catalogue_name(f"{number:06d}-{staged.sha256[:16]}", first))
    return first


def _split(
    spark: SparkSession, source: Source, logs: Sequence[StagedFile], staging: Path, shared: Path | None
) -> dict[date, list[Path]]:
    """Return the files of each arrival day, their lines in order.

    Spark finds where in a file a day begins; the lines themselves do not pass through a shuffle.
    """
    read = [file.lines_file for file in logs]
    if shared:
        read = [shared / file.name for file in read]
        for file, copied in zip(logs, read, strict=True):
            copy(file.lines_file, copied)
    lines = spark.read.schema(SCHEMA).parquet(*map(str, read))
    runs = day_runs(lines.withColumn("source", F.lit(source.name)), source)
    written = (shared or staging) / "runs"
    runs.write.mode("overwrite").parquet(str(written))
    with fetched([written], staging) as [folder]:
        found = pq.read_table(folder, read_dictionary=["file"], partitioning=None)
    arrivals = []
    for file in logs:
        of_file = found.filter(pc.equal(found["file"], file.name))
        arrivals.append(arrival_days(of_file, file.lines, source.times, source.columns.received_at is not None))
        if arrivals[-1] is None:
            within = " within earliest and latest of [times]" if source.times != Times() else ""
            raise InputError(
                f"no line of {file.path} has a readable time{within}, so its arrival day is unknown: "
                f"check columns.event_at and columns.received_at of the TOML, or land it with --arrival-day D"
            )
    by_day: dict[date, list[Path]] = {}
    with thread_pool() as pool:
        for days in pool.map(_split_file, logs, arrivals):
            for day, part in days.items():
                by_day.setdefault(day, []).append(part)
    return by_day


def _split_file(staged: StagedFile, arrival: ArrivalDays) -> dict[date, Path]:
    """Write the lines of a staged file into one file per arrival day. A file of a single day stays as it is.

    If lines lie outside the plausible days, each line gets the columns `earliest` and `latest`.
    """
    days, limits = arrival.days, arrival.limits
    if (days == days[0]).all() and not limits:
        return {days[0].item(): staged.lines_file}
    parts: dict[date, Path] = {}
    with ExitStack() as stack:
        writers: dict[date, pq.ParquetWriter] = {}
        lines = stack.enter_context(pq.ParquetFile(staged.lines_file))
        for number in range(lines.num_row_groups):
            group = lines.read_row_group(number, use_threads=False)
            day_of_line = days[np.searchsorted(arrival.lines, group["line"].to_numpy(), side="right") - 1]
            for field, day in zip(LIMIT_FIELDS, (limits.earliest, limits.latest) if limits else (), strict=False):
                group = group.append_column(field, pa.repeat(pa.scalar(day, field.type), len(group)))
            for found in np.unique(day_of_line):
                day = found.item()
                if day not in writers:
                    parts[day] = staged.lines_file.with_suffix(f".{day}.parquet")
                    writers[day] = stack.enter_context(lines_writer(parts[day], group.schema))
                writers[day].write_table(group.filter(pa.array(day_of_line == found)))
    return parts


def _without_small_files(files: list[Path]) -> list[Path]:
    """Merge the small files of a day, since reading a thousand of them takes longer than reading their lines."""
    small = [file for file in files if _unpacked_bytes(file) < SMALL_FILE_BYTES]
    if len(small) < 2:
        return files
    merged = small[0].with_suffix(".merged.parquet")
    schema = pa.unify_schemas([pq.read_schema(file) for file in small])
    with lines_writer(merged, schema) as writer:
        for file in small:
            lines = pq.ParquetFile(file).read(use_threads=False)
            writer.write_table(pa.concat_tables([schema.empty_table(), lines], promote_options="default"))
    return [merged, *(file for file in files if file not in small)]


def _unpacked_bytes(file: Path) -> int:
    found = pq.read_metadata(file)
    return sum(found.row_group(number).total_byte_size for number in range(found.num_row_groups))
