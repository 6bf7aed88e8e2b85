"""The landed lines of people who are erased: how they are found, and how the landing zone is rewritten without them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.erasure.request import Request
from pipeline.files import replaced_whole
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.in_place import SUFFIX, read_entry
from pipeline.landing.staging import lines_writer
from pipeline.landing.zone import LandingZone
from pipeline.pseudonyms import pseudonym_key
from pipeline.settings import Settings
from pipeline.sources.schema import Source
from pipeline.transforms.canonical import with_ids
from pipeline.transforms.parse import landed_lines
from pipeline.transforms.pseudonymize import pseudonymize
from pipeline.transforms.rows import frame_of_rows
from pipeline.transforms.union import union
from throughline.stores import content_of

LINE = ("source", "arrival_day", "file", "line")
PLACES = pa.schema(
    [("source", pa.string()), ("arrival_day", pa.date32()), ("file", pa.string()), ("line", pa.int64())]
)  # one row per erased line
PART_OF_A_WORD = "[A-Za-z0-9_-]"


def lines_of(
    spark: SparkSession, settings: Settings, users: DataFrame, devices: DataFrame, request: Request | None
) -> DataFrame:
    """Return the landed lines that name one of these people by the TOML of their source, one row each: LINE.

    A line that cannot be parsed, or names neither user nor device, is one of them if an id of the request stands in its
    text as a word.

    users: `user_id`, pseudonyms; a line is of the user that it names, else of its device. devices: `device_id`,
    pseudonyms; a line that names one is erased whoever was logged in. request: None leaves unparsable lines out.
    """
    zone = LandingZone(settings.landing_folder)
    sources = zone.sources()
    days = [day for name in sources for day in zone.days(name).values() if day.lines]
    found = []
    for name, lines in (landed_lines(spark, zone, CleanPlan(days, [])) if days else {}).items():
        named = with_ids(lines.where("text IS NOT NULL"), sources[name])
        hidden = pseudonymize(named, pseudonym_key(settings))
        found += [hidden.join(F.broadcast(users), "user_id", "left_semi").select(*LINE)]
        found += [hidden.join(F.broadcast(devices), "device_id", "left_semi").select(*LINE)]
        if request and request.space == sources[name].user_space:
            nameless = named.where(F.coalesce("user_id", "device_id").isNull())
            found.append(_with_word(nameless, request).select(*LINE))
    return (
        union(found).distinct()
        if found
        else frame_of_rows(spark, [], "source string, arrival_day date, file string, line long")
    )


def sources_with_space(sources: Mapping[str, Source], space: str) -> list[str]:
    """Return the names of the sources whose user ids live in a space."""
    return [name for name, source in sources.items() if source.user_space == space]


def _with_word(lines: DataFrame, request: Request) -> DataFrame:
    """Return the lines in whose text an id stands that is no part of a longer word."""
    # The ids are data of the session: as literals they would stand in plans and logs.
    ids = frame_of_rows(lines.sparkSession, [(one,) for one in request.ids], "id string")
    quoted = F.concat(F.lit("\\Q"), F.replace("id", F.lit("\\E"), F.lit("\\E\\\\E\\Q")), F.lit("\\E"))
    word = F.concat(F.lit(f"(?<!{PART_OF_A_WORD})"), quoted, F.lit(f"(?!{PART_OF_A_WORD})"))
    ids = F.broadcast(ids.withColumn("word", word))
    return lines.join(ids, F.contains("text", "id") & F.regexp_like("text", "word"), "left_semi")


def remove_lines(zone: LandingZone, places: pa.Table, note: Callable[[Path], None]) -> int:
    """Rewrite the landed files without these lines, under the same names, and close their days again; return how many.

    A day keeps its digest, since its files keep their names: no night cleans it again for this. May be repeated.

    note: is called with each file before it is rewritten.
    """
    count = 0
    for (source, day), of_day in by_day(places).items():
        count += sum(_rewrite(file, of_day, False, note) for file in landed_files(zone, source, day))
        zone.close_day(source, day)
    return count


def remove_texts(zone: LandingZone, places: pa.Table) -> int:
    """Remove the texts of these lines; the lines stay, so that they are counted. Return how many had one."""
    return sum(
        _rewrite(file, of_day, True)
        for (source, day), of_day in by_day(places).items()
        for file in landed_files(zone, source, day)
    )


def landed_files(zone: LandingZone, source: str, day: date) -> list[Path]:
    folder = zone.day_folder(source, day)
    for left in folder.glob(".*.parquet.*"):  # by a killed process
        left.unlink()
    return zone.day_files(source, day)


def by_day(places: pa.Table) -> dict[tuple[str, date], dict[str, np.ndarray]]:
    """Return the numbers of the lines by file, for each source and arrival day."""
    found: dict[tuple[str, date], dict[str, np.ndarray]] = {}
    if not places.num_rows:
        return found
    grouped = places.group_by(["source", "arrival_day", "file"]).aggregate([("line", "list")])
    for row in grouped.to_pylist():
        of_day = found.setdefault((row["source"], row["arrival_day"]), {})
        of_day[row["file"]] = np.array(row["line_list"], np.int64)
    return found


def _rewrite(
    file: Path, of_day: Mapping[str, np.ndarray], keep_line: bool, note: Callable[[Path], None] = lambda _: None
) -> int:
    """Rewrite a landed file without lines, or without their texts; return how many. Without such lines it stays."""
    if file.suffix == SUFFIX:
        return _leave_out(file, of_day, keep_line, note)
    with pq.ParquetFile(content_of(file)) as landed:
        masks = [
            _are_among(landed.read_row_group(number, columns=["file", "line", "text"]), of_day, keep_line)
            for number in range(landed.num_row_groups)
        ]
        count = sum(int(mask.sum()) for mask in masks)
        if not count:
            return 0
        note(file)
        with replaced_whole(file) as temporary, lines_writer(temporary, landed.schema_arrow) as writer:
            for number, mask in enumerate(masks):
                group = landed.read_row_group(number)
                if keep_line:
                    text = pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), group["text"])
                    group = group.set_column(group.schema.get_field_index("text"), "text", text)
                else:
                    group = group.filter(pa.array(~mask))
                writer.write_table(group)
    return count


def _leave_out(entry: Path, of_day: Mapping[str, np.ndarray], keep_line: bool, note: Callable[[Path], None]) -> int:
    """Leave lines of a file that landed in place out, or their texts; return how many. The file stays as it is."""
    file = read_entry(entry)
    known = {*file.erased, *file.without_text} if keep_line else {*file.erased}
    new = {int(number) for number in of_day.get(file.name, ())} - known
    if new:
        note(entry)
        if keep_line:
            file = replace(file, without_text=tuple(sorted({*file.without_text, *new})))
        else:
            file = replace(file, erased=tuple(sorted({*file.erased, *new})))
        file.write(entry)
    return len(new)


def _are_among(group: pa.Table, of_day: Mapping[str, np.ndarray], only_with_text: bool) -> np.ndarray:
    """Return a boolean per line: whether it is one of those. only_with_text: and has a text."""
    mask = np.zeros(group.num_rows, bool)
    names, numbers = group["file"], group["line"].to_numpy()
    for name in set(pc.unique(names).to_pylist()) & of_day.keys():
        of_file = pc.equal(names, name).to_numpy(zero_copy_only=False)
        mask |= of_file & np.isin(numbers, of_day[name])
    return mask & group["text"].is_valid().to_numpy(zero_copy_only=False) if only_with_text else mask
