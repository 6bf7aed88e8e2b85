"""Explains a day: its lines by outcome, rejects, late arrivals, bots, and the steps of its night."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.analyst.release import Release, equals, newest_readable, read_table, unpublished_run
from pipeline.analyst.render import with_heading
from pipeline.days import format_days
from pipeline.errors import InputError
from pipeline.escape import printable

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

OUTCOMES = ("accepted", "duplicates", "rejects")
LINE_SHOWN = 100  # characters of a rejected line


def explain_day(catalog: "Catalog", day: date, unpublished: bool = False) -> RenderableType:
    """Return a day's line accounting per source, its rejects, late arrivals and bots, and its steps with their gates.

    It is read from the newest release; from the unpublished run if that is wanted or if no release has the day.

    Raises InputError, naming the days that there are, if neither has this one.
    """
    release = newest_readable(catalog, unpublished)
    run = unpublished_run(catalog)
    steps = read_table(catalog, release, "runs").to_pylist()
    later_steps = read_table(catalog, run, "runs").to_pylist() if run else []
    ran_again = [step for step in later_steps if step["day"] == day and run and step["run_id"] == run.run_id]
    of_day = [step for step in steps if step["day"] == day]
    if run and not of_day and ran_again:
        release, of_day = run, [step for step in later_steps if step["day"] == day]
    if not of_day:
        days = format_days({step["day"] for step in steps}) or "none"
        raise InputError(f"{day} is not in {release}: days there are: {days}")
    cleaned = sorted((step for step in of_day if step["step"] == "clean"), key=lambda step: str(step["source"]))
    later = sorted((step for step in of_day if step["step"] != "clean"), key=lambda step: step["finished_at"])
    arrived = equals("arrival_day", day.isoformat())
    rejects = read_table(
        catalog, release, "rejects", ("source", "reason", "detail", "file", "line"), arrived
    ).to_pylist()
    columns = ("user_id", "lateness_days", "is_late", "bot_class")
    events = read_table(catalog, release, "events", columns, arrived)
    return Group(
        _title(day, release),
        *[Text(equation(step["source"], step["rows_in"], dict(step["rows_out"]))) for step in cleaned],
        *([] if cleaned else [Text("no lines were cleaned on this day")]),
        *([_rejects_table(rejects)] if rejects else []),
        _lateness(events),
        *([_bots_table(events)] if events.num_rows else []),
        _steps_table([*cleaned, *later]),
        *([Text(f"{run}, ran this day again: add --unpublished")] if ran_again and release.is_published else []),
    )


def equation(source: str, lines_in: int, outcomes: Mapping[str, int]) -> str:
    """Return `lines in = accepted + duplicates + rejects`, with a check mark where it holds, else a cross."""
    if not source and not lines_in:
        return "nothing landed: an empty day ✓"
    missing = lines_in - sum(outcomes.get(outcome, 0) for outcome in OUTCOMES)
    sides = " + ".join(f"{outcomes.get(outcome, 0):,} {outcome}" for outcome in OUTCOMES)
    mark = f"✗ {abs(missing):,} lines {'are lost' if missing > 0 else 'too many'}" if missing else "✓"
    return f"{source}: {lines_in:,} lines in = {sides} {mark}"


def _title(day: date, release: Release) -> Text:
    if release.is_published:
        return Text(f"{day}, by {release} (run {release.run_id})", style="bold")
    return Text(f"{day}, by {release}: a gate or a failure stopped it, or it still runs", style="bold yellow")


def _rejects_table(rejects: Sequence[Mapping[str, Any]]) -> RenderableType:
    counts = Counter((line["source"], line["reason"]) for line in rejects)
    first = {
        (line["source"], line["reason"]): line
        for line in sorted(rejects, key=lambda line: (line["file"], line["line"]), reverse=True)
    }
    shown = Table("source", "reason", "lines", "what was found", "first line")
    for kind, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        line = first[kind]
        detail, place = printable(line["detail"], LINE_SHOWN), f"{printable(line['file'])}:{line['line']}"
        shown.add_row(Text(kind[0]), Text(kind[1]), f"{count:,}", Text(detail), Text(place))
    return with_heading("Rejected lines (`throughline rejects list` shows them)", shown)


def _lateness(events: pa.Table) -> RenderableType:
    groups = events.group_by(["lateness_days", "is_late"]).aggregate([([], "count_all")])
    late = [group for group in groups.sort_by("lateness_days").to_pylist() if group["lateness_days"]]
    if not late:
        return Text("no late arrivals")
    shown = Table("days late", "events", "")
    for group in late:
        label = "labelled late" if group["is_late"] else "within the allowed lateness"
        shown.add_row(str(group["lateness_days"]), f"{group['count_all']:,}", label)
    return with_heading("Late arrivals (all are kept)", shown)


def _bots_table(events: pa.Table) -> RenderableType:
    groups = events.group_by("bot_class").aggregate([([], "count_all"), ("user_id", "count_distinct")])
    shown = Table("class", "events", "users")
    for group in groups.sort_by([("count_all", "descending")]).to_pylist():
        shown.add_row(group["bot_class"], f"{group['count_all']:,}", f"{group['user_id_count_distinct']:,}")
    return with_heading("People and bots (bots are excluded from sequences)", shown)


def _steps_table(steps: Sequence[Mapping[str, Any]]) -> RenderableType:
    shown = Table("step", "rows in", "rows out", "gate", "seconds")
    for step in steps:
        name = f"clean {step['source']}".strip() if step["step"] == "clean" else step["step"]
        rows_out = ", ".join(f"{count:,} {outcome}" for outcome, count in step["rows_out"])
        shown.add_row(Text(name), f"{step['rows_in']:,}", rows_out, Text(_gate(step["gate"])), f"{step['seconds']:.1f}")
    return with_heading("Steps", shown)


def _gate(rules: Sequence[Mapping[str, Any]]) -> str:
    """Return how many rules passed, the broken rows that they allow, and the rules that warn."""
    if not rules:
        return ""  # of a step that `audit` checks
    warnings = [rule for rule in rules if rule.get("is_warning")]
    exceptions = [
        f"{rule['rule']}: {rule['broken_count']:,} broken rows, within the limit"
        for rule in rules
        if rule["broken_count"] and rule not in warnings
    ]
    warned = [f"⚠ {rule['rule']}: {rule['broken_count']:,} rows break it, which only warns" for rule in warnings]
    return "\n".join([f"✓ {len(rules) - len(warnings)} rules passed", *exceptions, *warned])
