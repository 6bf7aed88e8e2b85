"""The refused lines of a release, by source and reason, with examples."""

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

from pipeline.analyst.filters import both, equals, is_among, is_from, is_until
from pipeline.analyst.release import EVERY_ROW, Release, newest_release, read_table
from pipeline.analyst.render import with_heading
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

Row = Mapping[str, Any]
LETTERS_SHOWN = 1_000  # of one text; the terminal cuts it to its width
PLACE = ("source", "arrival_day", "file", "line")
HOW_TO_FIX = (
    "To take them in: mend the TOML of the source, then `throughline rejects replay --source my.toml`. "
    "With --dry-run it only says what it would run."
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
        ("share", pa.float64()),  # of the lines of the source that were cleaned on the same days
        ("first_arrival_day", pa.date32()),
        ("last_arrival_day", pa.date32()),
        ("examples", pa.list_(EXAMPLE)),
    ]
)
# Examples are the newest line of each detail, the most frequent detail first; only then comes another line of one.
GROUPED = """
    SELECT
        source, reason, count(*) AS line_count,
        min(arrival_day) AS first_arrival_day, max(arrival_day) AS last_arrival_day,
        list({arrival_day: arrival_day, file: file, line: line, detail: detail}
             ORDER BY number, alike_count DESC, detail)[:$examples] AS examples
    FROM (
        SELECT *,
            count(*) OVER (PARTITION BY source, reason, detail) AS alike_count,
            row_number() OVER (PARTITION BY source, reason, detail ORDER BY arrival_day DESC, file, line) AS number
        FROM refused)
    GROUP BY source, reason ORDER BY line_count DESC, source, reason
"""


@dataclass(frozen=True)
class Which:
    """Which refused lines are meant: of a source, for a reason, of the arrival days from first to last; None is any."""

    source: str | None = None
    reason: str | None = None
    first: date | None = None
    last: date | None = None

    def on(self, day_column: str) -> BooleanExpression:
        """Return the condition on source and arrival day."""
        of_source = equals("source", self.source) if self.source else EVERY_ROW
        from_first = is_from(day_column, self.first) if self.first else EVERY_ROW
        until_last = is_until(day_column, self.last) if self.last else EVERY_ROW
        return both(of_source, both(from_first, until_last))

    def __str__(self) -> str:
        parts = {" of ": self.source, " for ": self.reason, " from ": self.first, " to ": self.last}
        return "".join(f"{word}{value}" for word, value in parts.items() if value)


def list_rejects(catalog: "Catalog", which: Which, examples: int) -> pa.Table:
    """Return one row per source and reason of the newest release, the most frequent first; see BY_REASON.

    Raises InputError naming those there are if the source or the reason is unknown.
    """
    release = newest_release(catalog, None)
    landed = _landed_lines(catalog, release, which)
    columns = ("source", "reason", "detail", "arrival_day", "file", "line")  # not text, which is most of the table
    refused = read_table(catalog, release, "rejects", columns, which.on("arrival_day"))
    if which.reason and refused.num_rows:
        refused = of_reason(refused, which.reason)
    with duckdb.connect() as connection:
        connection.register("refused", refused)
        grouped = connection.sql(GROUPED, params={"examples": examples}).to_arrow_table().to_pylist()
    texts = _texts(catalog, release, grouped)
    rows = [
        {
            **group,
            "share": group["line_count"] / landed[group["source"]] if landed.get(group["source"]) else None,
            "examples": [
                {**one, "text": texts[(group["source"], *(one[name] for name in PLACE[1:]))]}
                for one in group["examples"]
            ],
        }
        for group in grouped
    ]
    return pa.Table.from_pylist(rows, schema=BY_REASON)


def shown_rejects(listed: pa.Table, which: Which) -> RenderableType:
    """Return what a terminal shows of `list_rejects`; file, detail and text are cut to its width."""
    rows = listed.to_pylist()
    if not rows:
        return Text(f"No lines{which} are refused in the newest release.")
    summary = Table("source", "reason", "lines", "of all its lines", "first arrival day", "last arrival day")
    for row in rows:
        share = "" if row["share"] is None else f"{row['share']:.2%}"
        days = (str(row["first_arrival_day"]), str(row["last_arrival_day"]))
        summary.add_row(Text(row["source"]), Text(row["reason"]), f"{row['line_count']:,}", share, *days)
    return Group(
        with_heading(f"Refused lines{which}", summary),
        *[line for row in rows if row["examples"] for line in _examples(row)],
        Text(f"\n{HOW_TO_FIX}"),
    )


def visible(text: str) -> str:
    """Return a text's beginning, its control characters spelt out, so that none moves the cursor or colours."""
    spelt = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:LETTERS_SHOWN])
    return f"{spelt}…" if len(text) > LETTERS_SHOWN else spelt


def _examples(row: Row) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"\n{row['source']}, {row['reason']}, for example", style="bold")]
    for one in row["examples"]:
        place = f"{visible(one['file'])}:{one['line']}  {visible(one['detail'])}"
        lines.append(Text(place, no_wrap=True, overflow="ellipsis"))
        lines.append(Text(f"    {visible(one['text'])}", style="dim", no_wrap=True, overflow="ellipsis"))
    return lines


def _landed_lines(catalog: "Catalog", release: Release, which: Which) -> dict[str, int]:
    """Return how many lines of each source were cleaned, on the days that are meant.

    Raises InputError if the source is none of those that were ever cleaned.
    """
    cleaned = read_table(catalog, release, "runs", ("source", "rows_in"), equals("step", "clean"))
    sources = sorted(set(cleaned["source"].to_pylist()) - {""})
    if which.source and which.source not in sources:
        raise InputError(f"no source {which.source!r} in the release of {release.as_of}: there are {_told(sources)}")
    meant = both(equals("step", "clean"), which.on("day"))
    counts = read_table(catalog, release, "runs", ("source", "rows_in"), meant)
    totals = counts.group_by("source").aggregate([("rows_in", "sum")])
    return dict(zip(totals["source"].to_pylist(), totals["rows_in_sum"].to_pylist(), strict=True))


def of_reason(refused: pa.Table, reason: str) -> pa.Table:
    """Return the lines that are refused for a reason.

    Raises InputError naming the reasons there are if it is none of them.
    """
    counts = refused["reason"].value_counts().to_pylist()
    if reason not in {one["values"] for one in counts}:
        told = sorted(f"{one['values']} ({one['counts']:,} lines)" for one in counts)
        raise InputError(f"no lines are refused for the reason {reason!r}: reasons there are: {_told(told)}")
    return refused.filter(pc.equal(refused["reason"], reason))


def _texts(catalog: "Catalog", release: Release, grouped: Sequence[Row]) -> dict[tuple[Any, ...], str]:
    """Return the texts of the examples by source, arrival day, file and line."""
    shown = [one for group in grouped for one in group["examples"]]
    if not shown:
        return {}
    meant = both(
        is_among("file", {one["file"] for one in shown}),
        both(
            is_among("line", {one["line"] for one in shown}),
            is_among("arrival_day", {one["arrival_day"].isoformat() for one in shown}),
        ),
    )
    rows = read_table(catalog, release, "rejects", (*PLACE, "text"), meant).to_pylist()
    return {tuple(row[name] for name in PLACE): row["text"] for row in rows}


def _told(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
