"""The days that a replay of rejected lines runs again, and what became of these lines."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import BooleanExpression

from pipeline.analyst.rejects import of_reason
from pipeline.analyst.release import (
    Release,
    both,
    equals,
    has_releases,
    is_among,
    is_from,
    is_until,
    newest_release,
    read_table,
    unpublished_run,
)
from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.sources.schema import REASONS
from pipeline.warehouse.names import is_replay

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


PLACES = pa.schema([("arrival_day", pa.date32()), ("file", pa.string()), ("line", pa.int64())])
PLACE = PLACES.names
REJECTED = PLACES.append(pa.field("reason", pa.string()))


@dataclass(frozen=True)
class Replay:
    """The days to run again, and the rejected lines of the source on them: arrival day, file, line, reason.

    stopped_run: the run whose days run again, since it was stopped before its publication.
    """

    source: str
    days: DayRange
    rejected: pa.Table
    stopped_run: Release | None = None

    def reasons(self) -> str:
        return format_reasons(Counter(self.rejected["reason"].to_pylist()))


@dataclass(frozen=True)
class Outcome:
    """What became of the lines that were rejected before the replay, and how many lines it newly rejects, by reason."""

    rejected_before: int
    accepted: int
    duplicates: int
    still_rejected: Mapping[str, int]
    newly_rejected: Mapping[str, int]

    def __str__(self) -> str:
        moved = self.accepted + self.duplicates
        still = f"; still rejected: {format_reasons(self.still_rejected)}" if self.still_rejected else ""
        newly = f"\nnewly rejected: {format_reasons(self.newly_rejected)}" if self.newly_rejected else ""
        return (
            f"of {self.rejected_before:,} rejected lines {moved:,} moved: {self.accepted:,} to events, "
            f"{self.duplicates:,} are duplicates{still}{newly}"
        )


def plan_replay(
    catalog: "Catalog", source: str, reason: str | None, first: date | None, landed: Collection[date] = ()
) -> Replay | None:
    """Return the days from the first with rejected lines to the newest; None if no line is rejected.

    All later days run again, since a line that becomes an event changes their sequences, profiles and duplicates.
    The range begins earlier where later copies filled nulls of earlier events: the line may be an earlier copy itself.

    reason: begin on the first day with this reason; by default any reason except the TOML's own rules ([reject_when]).
    first: begin on this day, whether or not it has rejected lines.
    landed: the days on which the source has landed. If none of them was ever cleaned, all of them run.

    If a run was stopped before its publication, all of its days are among those that run again.

    Raises InputError if the source or the days from `first` on were never cleaned, or the reason does not occur.
    """
    run = unpublished_run(catalog)
    if run and is_replay(run.run_id) and has_releases(catalog):
        run = None  # an earlier replay with another TOML, which is not in force
    if run is None and landed and not has_releases(catalog):
        return Replay(source, DayRange(first or min(landed), max(landed)), REJECTED.empty_table())
    release = run or newest_release(catalog, None)
    columns = ("source", "day", "run_id")
    cleaned = read_table(catalog, release, "runs", columns, equals("step", "clean")).to_pylist()
    newest = max(row["day"] for row in cleaned)
    own_days = [row["day"] for row in cleaned if row["source"] == source]
    if landed and not own_days:
        return Replay(source, DayRange(first or min(landed), max(newest, *landed)), REJECTED.empty_table())
    if not own_days:
        raise InputError(f"no day of {source} is in {release}: run its days by `throughline run`")
    if first and first > newest:
        raise InputError(f"no lines to replay from {first} on: the newest day in {release} is {newest}")
    stopped_days = [row["day"] for row in cleaned if run and row["run_id"] == run.run_id]
    rejected = _rejected(catalog, release, source, first or min(own_days))
    if first is None:
        if reason and rejected.num_rows:
            wanted = of_reason(rejected, reason)
        else:
            wanted = rejected.filter(pc.field("reason").isin(REASONS))
        days = [*wanted["arrival_day"].to_pylist(), *stopped_days]
        if not days:
            return None
        first = min(days)
    first = max(_first_filled_since(catalog, release, first), min([*own_days, *stopped_days]))
    return Replay(source, DayRange(first, newest), _rejected(catalog, release, source, first), run)


def outcome(catalog: "Catalog", replay: Replay) -> Outcome:
    """Compare the rejected lines of the newest release with those before the replay."""
    release = newest_release(catalog, None)
    now = _rejected(catalog, release, replay.source, replay.days.first)
    moved = replay.rejected.join(now, PLACE, join_type="left anti")
    days = {day.isoformat() for day in moved["arrival_day"].to_pylist()}
    of_their_days = both(equals("source", replay.source), is_among("arrival_day", days))
    events = _read(catalog, release, "events", PLACES, of_their_days)
    accepted = moved.join(events, PLACE, join_type="left semi").num_rows
    return Outcome(
        rejected_before=replay.rejected.num_rows,
        accepted=accepted,
        duplicates=moved.num_rows - accepted,
        still_rejected=Counter(now.join(replay.rejected, PLACE, join_type="left semi")["reason"].to_pylist()),
        newly_rejected=Counter(now.join(replay.rejected, PLACE, join_type="left anti")["reason"].to_pylist()),
    )


def format_reasons(counts: Mapping[str, int]) -> str:
    by_count = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count:,} {reason}" for reason, count in by_count) or "none"


def _rejected(catalog: "Catalog", release: Release, source: str, first: date) -> pa.Table:
    of_source = both(equals("source", source), is_from("arrival_day", first))
    return _read(catalog, release, "rejects", REJECTED, of_source)


def _read(
    catalog: "Catalog", release: Release, name: str, schema: pa.Schema, row_filter: BooleanExpression
) -> pa.Table:
    """Return columns in the types of `schema`. Uncast, an empty table has large strings, which do not join."""
    return read_table(catalog, release, name, schema.names, row_filter).select(schema.names).cast(schema)


def _first_filled_since(catalog: "Catalog", release: Release, day: date) -> date:
    """Return the earliest arrival day before `day` with an event that has a copy from `day` or later, else `day`."""
    has_copies_since = both(is_until("arrival_day", day - timedelta(days=1)), is_from("last_copy_on", day))
    filled = read_table(catalog, release, "events", ("arrival_day",), has_copies_since)
    return pc.min(filled["arrival_day"]).as_py() or day
