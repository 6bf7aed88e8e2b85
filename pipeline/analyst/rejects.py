"""The rejected lines of a release, or of a run that is not published, by source and reason, with examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import BooleanExpression
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.analyst.release import EVERY_ROW, Release, both, equals, is_from, is_until, newest_readable, read_table
from pipeline.analyst.render import with_heading
from pipeline.errors import InputError
from pipeline.escape import printable
from pipeline.landing.line_texts import LinePlace, read_texts
from pipeline.landing.zone import LandingZone

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

Row = Mapping[str, Any]
HOW_TO_FIX = (
    "To accept these lines, correct the TOML of the source and run `throughline rejects replay --source my.toml`. "
    "Add --dry-run to see the plan first."
)
EXAMPLE = pa.struct(
    [
        ("arrival_day", pa.date32()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("detail", pa.string()),
        ("text", pa.string()),
    ]
)
BY_REASON = pa.schema(
    [
        ("source", pa.string()),
        ("reason", pa.string()),
        ("line_count", pa.int64()),
        ("share", pa.float64()),  # of the lines of the source that were cleaned on these days
        ("first_arrival_day", pa.date32()),
        ("last_arrival_day", pa.date32()),
        ("examples", pa.list_(EXAMPLE)),
    ]
)
# Examples: first the newest line of each detail, the most frequent detail first, then the second newest, and so on.
GROUPED = """
    SELECT
        source, reason, count(DISTINCT (arrival_day, file, line)) AS line_count,
        min(arrival_day) AS first_arrival_day, max(arrival_day) AS last_arrival_day,
        list({arrival_day: arrival_day, file: file, line: line, detail: detail}
             ORDER BY number, same_detail_count DESC, detail)[:$examples] AS examples
    FROM (
        SELECT *,
            count(*) OVER (PARTITION BY source, reason, detail) AS same_detail_count,
            row_number() OVER (PARTITION BY source, reason, detail ORDER BY arrival_day DESC, file, line) AS number
        FROM rejected)
    GROUP BY source, reason ORDER BY line_count DESC, source, reason
"""


@dataclass(frozen=True)
class RejectFilter:
    """A choice of rejected lines by source, reason and arrival days from first to last; None is any."""

    source: str | None = None
    reason: str | None = None
    first: date | None = None
    last: date | None = None

    def condition(self, day_column: str) -> BooleanExpression:
        """Return the condition on source and day; the reason is not part of it."""
        of_source = equals("source", self.source) if self.source else EVERY_ROW
        from_first = is_from(day_column, self.first) if self.first else EVERY_ROW
        until_last = is_until(day_column, self.last) if self.last else EVERY_ROW
        return both(of_source, both(from_first, until_last))

    def __str__(self) -> str:
        parts = {" of ": self.source, " for ": self.reason, " from ": self.first, " to ": self.last}
        return "".join(f"{word}{value}" for word, value in parts.items() if value)


def list_rejects(
    catalog: "Catalog", chosen: RejectFilter, examples: int, zone: LandingZone, release: Release | None = None
) -> pa.Table:
    """Return one row per source and reason of a release, the most frequent first; see BY_REASON.

    zone: has the texts of the examples; null where the line is no longer there.
    release: the newest by default; the unpublished run if nothing is published.

    Raises InputError, naming the known ones, if the source or the reason is unknown.
    """
    release = release or newest_readable(catalog)
    landed = _landed_lines(catalog, release, chosen)
    columns = ("source", "reason", "detail", "arrival_day", "file", "line")
    rejected = read_table(catalog, release, "rejects", columns, chosen.condition("arrival_day"))
    if chosen.reason and rejected.num_rows:
        rejected = of_reason(rejected, chosen.reason)
    with duckdb.connect() as connection:
        connection.register("rejected", rejected)
        grouped = connection.sql(GROUPED, params={"examples": examples}).to_arrow_table().to_pylist()
    places = [_place(group, one) for group in grouped for one in group["examples"]]
    texts = read_texts(zone, places)
    rows = [
        {
            **group,
            "share": group["line_count"] / landed[group["source"]] if landed.get(group["source"]) else None,
            "examples": [{**one, "text": texts.get(_place(group, one))} for one in group["examples"]],
        }
        for group in grouped
    ]
    return pa.Table.from_pylist(rows, schema=BY_REASON)


def format_rejects(listed: pa.Table, chosen: RejectFilter, release: Release) -> RenderableType:
    """Return the result of `list_rejects` for a terminal, which shortens file, detail and text to its width."""
    rows = listed.to_pylist()
    if not rows:
        return Text(f"No rejected lines{chosen} in {release}.")
    place = "" if release.is_published else f" in {release}"
    summary = Table("source", "reason", "lines", "of all its lines", "first arrival day", "last arrival day")
    for row in rows:
        share = "" if row["share"] is None else f"{row['share']:.2%}"
        days = (str(row["first_arrival_day"]), str(row["last_arrival_day"]))
        summary.add_row(Text(row["source"]), Text(row["reason"]), f"{row['line_count']:,}", share, *days)
    return Group(
        with_heading(f"Rejected lines{chosen}{place}", summary),
        *[line for row in rows if row["examples"] for line in _examples(row)],
        Text(f"\n{HOW_TO_FIX}"),
    )


def _examples(row: Row) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"\n{row['source']}, {row['reason']}, for example", style="bold")]
    for one in row["examples"]:
        place = f"{printable(one['file'])}:{one['line']}  {printable(one['detail'])}"
        lines.append(Text(place, no_wrap=True, overflow="ellipsis"))
        lines.append(
            Text(
                f"    {printable(one['text'] or '(no longer in the landing zone)')}",
                style="dim",
                no_wrap=True,
                overflow="ellipsis",
            )
        )
    return lines


def _landed_lines(catalog: "Catalog", release: Release, chosen: RejectFilter) -> dict[str, int]:
    """Return how many lines of each source were cleaned on the chosen days.

    Raises InputError if the chosen source was never cleaned.
    """
    cleaned = read_table(catalog, release, "runs", ("source", "rows_in"), equals("step", "clean"))
    sources = sorted(set(cleaned["source"].to_pylist()) - {""})
    if chosen.source and chosen.source not in sources:
        raise InputError(f"no source {chosen.source!r} in {release}: sources there are: {_joined(sources)}")
    cleaned_then = both(equals("step", "clean"), chosen.condition("day"))
    counts = read_table(catalog, release, "runs", ("source", "rows_in"), cleaned_then)
    totals = counts.group_by("source").aggregate([("rows_in", "sum")])
    return dict(zip(totals["source"].to_pylist(), totals["rows_in_sum"].to_pylist(), strict=True))


def of_reason(rejected: pa.Table, reason: str) -> pa.Table:
    """Return the lines that are rejected for a reason.

    Raises InputError naming the reasons there are if it is none of them.
    """
    counts = rejected["reason"].value_counts().to_pylist()
    if reason not in {one["values"] for one in counts}:
        reasons = sorted(f"{one['values']} ({one['counts']:,} lines)" for one in counts)
        raise InputError(f"no lines are rejected for the reason {reason!r}: reasons there are: {_joined(reasons)}")
    return rejected.filter(pc.equal(rejected["reason"], reason))


def _place(group: Row, example: Row) -> LinePlace:
    return (group["source"], example["arrival_day"], example["file"], example["line"])


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
