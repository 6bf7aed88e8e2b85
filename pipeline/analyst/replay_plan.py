"""Which days to run again after a TOML was mended, and what became of the lines that were refused."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import BooleanExpression

from pipeline.analyst.filters import both, equals, is_among, is_from, is_until
from pipeline.analyst.rejects import of_reason
from pipeline.analyst.release import Release, newest_release, read_table
from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.sources.schema import REASONS

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


PLACES = pa.schema([("arrival_day", pa.date32()), ("file", pa.string()), ("line", pa.int64())])
PLACE = PLACES.names
REFUSED = PLACES.append(pa.field("reason", pa.string()))


@dataclass(frozen=True)
class Replay:
    """The days to run again, and the lines of the source that are refused on them: arrival day, file, line, reason."""

    source: str
    days: DayRange
    refused: pa.Table

    def reasons(self) -> str:
        return format_reasons(Counter(self.refused["reason"].to_pylist()))


@dataclass(frozen=True)
class Outcome:
    """What became of the lines that were refused before, and which lines are refused that were not."""

    refused_before: int
    accepted: int
    duplicates: int
    still_refused: Mapping[str, int]
    newly_refused: Mapping[str, int]

    def __str__(self) -> str:
        moved = self.accepted + self.duplicates
        still = f"; still refused: {format_reasons(self.still_refused)}" if self.still_refused else ""
        newly = f"\nrefused now, but not before: {format_reasons(self.newly_refused)}" if self.newly_refused else ""
        return (
            f"of {self.refused_before:,} refused lines {moved:,} moved: {self.accepted:,} to events, "
            f"{self.duplicates:,} are duplicates{still}{newly}"
        )


def plan_replay(catalog: "Catalog", source: str, reason: str | None, first: date | None) -> Replay | None:
    """Return what to run again: from the first day that has refused lines to the newest; None if no line is refused.

    The newest day, since lines that move change every later day: its sequences, its profiles, and whose copy is whose.
    An earlier day comes along where copies that arrived since filled its events: a line that moves may come before
    them.

    reason: begin with the first day on which it was a reason; by default any but the rules by which the TOML itself
    sets lines aside. first: begin on this day, whatever is refused.

    Raises InputError if the source or the days from `first` on were never cleaned, or the reason is none.
    """
    release = newest_release(catalog, None)
    cleaned = read_table(catalog, release, "runs", ("source", "day"), equals("step", "clean")).to_pylist()
    own_days = [row["day"] for row in cleaned if row["source"] == source]
    if not own_days:
        raise InputError(f"no day of {source} is in the release of {release.as_of}: run its days by `throughline run`")
    newest = max(row["day"] for row in cleaned)
    if first and first > newest:
        raise InputError(f"no lines to replay from {first} on: the newest day in the release is {newest}")
    refused = _refused(catalog, release, source, first or min(own_days))
    if first is None:
        if reason and refused.num_rows:
            wanted = of_reason(refused, reason)
        else:
            wanted = refused.filter(pc.field("reason").isin(REASONS))
        if not wanted.num_rows:
            return None
        first = pc.min(wanted["arrival_day"]).as_py()
    first = max(_first_filled_since(catalog, release, first), min(own_days))
    return Replay(source, DayRange(first, newest), _refused(catalog, release, source, first))


def outcome(catalog: "Catalog", replay: Replay) -> Outcome:
    """Compare the newest release with what was refused before the replay."""
    release = newest_release(catalog, None)
    now = _refused(catalog, release, replay.source, replay.days.first)
    moved = replay.refused.join(now, PLACE, join_type="left anti")
    days = {day.isoformat() for day in moved["arrival_day"].to_pylist()}
    where_they_would_be = both(equals("source", replay.source), is_among("arrival_day", days))
    events = _read(catalog, release, "events", PLACES, where_they_would_be)
    accepted = moved.join(events, PLACE, join_type="left semi").num_rows
    return Outcome(
        refused_before=replay.refused.num_rows,
        accepted=accepted,
        duplicates=moved.num_rows - accepted,
        still_refused=Counter(now.join(replay.refused, PLACE, join_type="left semi")["reason"].to_pylist()),
        newly_refused=Counter(now.join(replay.refused, PLACE, join_type="left anti")["reason"].to_pylist()),
    )


def format_reasons(counts: Mapping[str, int]) -> str:
    by_count = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count:,} {reason}" for reason, count in by_count) or "none"


def _refused(catalog: "Catalog", release: Release, source: str, first: date) -> pa.Table:
    of_source = both(equals("source", source), is_from("arrival_day", first))
    return _read(catalog, release, "rejects", REFUSED, of_source)


def _read(
    catalog: "Catalog", release: Release, name: str, schema: pa.Schema, row_filter: BooleanExpression
) -> pa.Table:
    """Return columns in these very types: without rows, text comes as another type, which Arrow does not join."""
    return read_table(catalog, release, name, schema.names, row_filter).select(schema.names).cast(schema)


def _first_filled_since(catalog: "Catalog", release: Release, day: date) -> date:
    """Return the earliest arrival day of the events before `day` that have copies since, else `day`."""
    has_copies_since = both(is_until("arrival_day", day - timedelta(days=1)), is_from("last_copy_on", day))
    filled = read_table(catalog, release, "events", ("arrival_day",), has_copies_since)
    return pc.min(filled["arrival_day"]).as_py() or day
