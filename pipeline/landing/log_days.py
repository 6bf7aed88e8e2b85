"""The days that a run over a log needs: those with lines, without long empty stretches or stray days."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date

import numpy as np

from pipeline.days import DayRange
from pipeline.landing.plausible import Limits, bulk_of, plausible_limits
from pipeline.landing.zone import LandedDay
from pipeline.sources.rules import Times

LONG_STRETCH_DAYS = 30  # without any line: shorter ones run, since users are scored on empty days too


def days_of_log(wanted: DayRange, landed: Iterable[date]) -> list[DayRange]:
    """Return the parts of a range that run one after another: without its empty stretches of more than 30 days.

    The last wanted day always runs, as the day of the release.

    landed: days on which lines have landed, of any source.
    """
    with_lines = sorted({day for day in landed if day in wanted} | {wanted.last})
    parts = [DayRange(with_lines[0], with_lines[0])]
    for day in with_lines[1:]:
        if (day - parts[-1].last).days - 1 > LONG_STRETCH_DAYS:
            parts.append(DayRange(day, day))
        else:
            parts[-1] = DayRange(parts[-1].first, day)
    if (parts[0].first - wanted.first).days <= LONG_STRETCH_DAYS:
        parts[0] = DayRange(wanted.first, parts[0].last)
    return parts


def left_out(wanted: DayRange, parts: Iterable[DayRange]) -> str:
    """Return which days of a range do not run, in one line; empty if all run."""
    count = sum(1 for _ in wanted) - sum(1 for part in parts for _ in part)
    if not count:
        return ""
    return (
        f"{count:,} days of {wanted} are left out, since no line landed on them nor near them: "
        f"running {', '.join(str(part) for part in parts)}"
    )


def real_days(landed: Mapping[date, LandedDay]) -> DayRange:
    """Return the range in which the lines of a source lie, without stray days of a few lines before and after it.

    landed: closed days by date; at least one.
    """
    days = sorted(day for day, one in landed.items() if one.lines) or sorted(landed)
    counts = np.array([max(landed[day].lines, 1) for day in days])
    return DayRange(*bulk_of(np.array(days, "datetime64[D]"), counts))


def plausible_days(landed: Iterable[LandedDay]) -> Limits:
    """Return the limits of the landed days of all sources together: a year around where most of their lines lie.

    A few lines of 1990 or 2100, landed by a source with a broken clock, lie outside.

    landed: closed days; at least one.
    """
    lines: Counter[date] = Counter()
    for one in landed:
        lines[one.day] += one.lines
    counts = {day: count for day, count in lines.items() if count} or dict.fromkeys(lines, 1)
    days = sorted(counts)
    return plausible_limits(
        np.array(days, "datetime64[D]"), np.array([counts[day] for day in days]), Times(), has_receipt=True
    )


def stray_days(landed: Mapping[date, LandedDay], real: DayRange) -> str:
    """Return what becomes of the landed days outside of the real ones, in one line; empty if there is none."""
    before = [day for day in landed if day < real.first]
    after = [day for day in landed if day > real.last]
    parts = [
        f"stray days before: {len(before)}, cleaned with them" if before else "",
        f"stray days after: {len(after)}, from {min(after)} on, which wait for `throughline run`" if after else "",
    ]
    return f"the lines lie on {real}; {'; '.join(part for part in parts if part)}" if before or after else ""
