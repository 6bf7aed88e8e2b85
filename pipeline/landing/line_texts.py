"""The texts of landed lines, which only the owner of the landing zone may read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.landing.in_place import lines_in_place
from pipeline.landing.zone import LandingZone
from throughline.stores import content_of

LinePlace = tuple[str, date, str, int]  # source, arrival day, file, line


def read_texts(zone: LandingZone, places: Iterable[LinePlace]) -> Mapping[LinePlace, str]:
    """Return the texts of lines by their place; a line that is no longer in the landing zone is left out."""
    by_day: dict[tuple[str, date], set[tuple[str, int]]] = defaultdict(set)
    for source, day, file, line in places:
        by_day[source, day].add((file, line))
    texts: dict[LinePlace, str] = {}
    for (source, day), wanted in by_day.items():
        files, lines = ({place[part] for place in wanted} for part in (0, 1))
        for landed in sorted(zone.day_folder(source, day).glob("*.parquet")):
            rows = pq.read_table(
                content_of(landed),
                columns=["file", "line", "text"],
                filters=[("file", "in", files), ("line", "in", lines)],
                partitioning=None,
            )
            for row in rows.to_pylist():
                if (row["file"], row["line"]) in wanted:
                    texts[source, day, row["file"], row["line"]] = row["text"]
        for in_place in [one for one in zone.files_in_place(source, day) if one.name in files]:
            for batch in lines_in_place(in_place, zone.sources()[source].reader):
                found = batch.filter(pc.is_in(batch["line"], pa.array(lines, pa.int64())))
                texts |= {(source, day, in_place.name, row["line"]): row["text"] for row in found.to_pylist()
                          if (in_place.name, row["line"]) in wanted}  # fmt: skip
    return texts
