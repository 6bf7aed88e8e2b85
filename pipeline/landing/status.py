"""Whether a day has landed, and which sources to wait for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.landing.log_days import real_days
from pipeline.landing.zone import LandedDay

SILENT_DAYS = 7  # a source that has landed nothing for longer is not waited for


@dataclass(frozen=True)
class Landing:
    """The landing status of a day.

    awaited: sources that landed a day in the SILENT_DAYS before, but not yet this day or a later one.
    has_landed: a source has closed the day or a later one, so a day that is not closed is empty.
    has_ended: no source has landed anything for longer, so there is none to wait for.
    """

    awaited: list[str]
    has_landed: bool
    has_ended: bool
    message: str


def look_for(day: date, landed: Mapping[str, Mapping[date, LandedDay]]) -> Landing:
    """Return the landing status of a day, by the closed days of each source.

    If nothing has ever landed, the first log is awaited. A later day counts only among the real days of a source: a
    few lines dated far ahead must not end the waiting for it.
    """
    newest = {source: _newest(day, days) for source, days in landed.items() if days}
    earliest = day - timedelta(days=SILENT_DAYS)
    awaited = sorted(source for source, last in newest.items() if earliest <= last < day)
    has_landed = any(last >= day for last in newest.values())
    newest_days = ", ".join(f"{source} through {last}" for source, last in sorted(newest.items())) or "nothing yet"
    if not newest:
        return Landing(["the first source"], False, False, f"day {day} has not landed: {newest_days}; {_advice(day)}")
    if awaited:
        message = f"day {day} has not landed for {', '.join(awaited)} (landed: {newest_days}); {_advice(day)}"
    elif has_landed:
        message = f"day {day} has landed ({newest_days})"
    else:
        message = f"day {day} has not landed, and no source landed in the {SILENT_DAYS} days before ({newest_days})"
    return Landing(awaited, has_landed, not awaited and not has_landed, message)


def _newest(day: date, days: Mapping[date, LandedDay]) -> date:
    last = max(day, real_days(days).last)
    return max(one for one in days if one <= last)


def _advice(day: date) -> str:
    return f"land it with `throughline land --source NAME PATH`, or close it as empty with `--arrival-day {day}`"
