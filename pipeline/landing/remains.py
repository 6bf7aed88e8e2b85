"""What is left of a landed file after some of its lines were lost."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.files import replaced_whole
from pipeline.landing.in_place import SUFFIX, read_entry
from pipeline.landing.staging import lines_writer
from pipeline.landing.zone import LandingZone
from throughline.stores import content_of


def remove_remains(zone: LandingZone, source: str, lines_of: Mapping[str, int]) -> None:
    """Remove the lines of files that land again, and close the days on which they were.

    lines_of: by name, how many lines each has.

    Raises InputError if all lines of a file are there, or if a landed file cannot be read: then nothing is removed.
    """
    names = pa.array(sorted(lines_of), pa.string())
    kept, found = {}, dict.fromkeys(lines_of, 0)
    for folder in (zone.day_folder(source, day) for day in zone.days(source)):
        for file in sorted(folder.glob(f"*{SUFFIX}")):
            entry = read_entry(file)
            if entry.name in found:
                found[entry.name] += entry.lines
        for file in sorted(folder.glob("*.parquet")):
            try:
                lines = pq.read_table(content_of(file), partitioning=None)
            except (OSError, pa.ArrowInvalid) as error:
                raise InputError(
                    f"{file}: cannot be read: {error}; if it is damaged, delete it and land again"
                ) from None
            is_one = pc.is_in(lines["file"], names)
            if not pc.any(is_one).as_py():
                continue
            for one in pc.value_counts(lines["file"].filter(is_one)).to_pylist():
                found[one["values"]] += one["counts"]
            kept[file] = lines.filter(pc.invert(is_one))
    for name, count in found.items():
        if count and count == lines_of[name]:
            raise InputError(f"{name}: none of its {count:,} landed lines is lost: nothing was done")
    for file, rest in kept.items():
        file.unlink()
        if rest.num_rows:
            kept_file = file.with_name(f"{file.stem}-kept.parquet")
            with replaced_whole(kept_file) as temporary, lines_writer(temporary, rest.schema) as writer:
                writer.write_table(rest)
    for day in zone.days(source):
        zone.close_day(source, day)
