"""Has a day landed, and for whom is there to wait?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.landing.zone import LandedDay

SILENT_DAYS = 7  # a source silent for longer is not waited for


@dataclass(frozen=True)
class Landing:
    """What is known of a day's landing.

    awaited: sources that landed something in the days before, but not yet this day or a later one.
    has_landed: some source has closed the day or a later one, so that an unmarked day is an empty one.
    has_ended: nobody has landed anything for so long that there is nobody to wait for.
    """

    awaited: list[str]
    has_landed: bool
    has_ended: bool
    message: str


def look_for(day: date, landed: Mapping[str, Mapping[date, LandedDay]]) -> Landing:
    """Judge a day by the closed days of each source.

    Where nothing has ever landed there is something to wait for: the first log.
    """
    newest = {source: max(days) for source, days in landed.items() if days}
    earliest = day - timedelta(days=SILENT_DAYS)
    awaited = sorted(source for source, last in newest.items() if earliest <= last < day)
    has_landed = any(last >= day for last in newest.values())
    told = ", ".join(f"{source} through {last}" for source, last in sorted(newest.items())) or "nothing yet"
    if not newest:
        return Landing(["the first source"], False, False, f"day {day} has not landed: {told}; {_advice(day)}")
    if awaited:
        message = f"day {day} has not landed for {', '.join(awaited)} (landed: {told}); {_advice(day)}"
    elif has_landed:
        message = f"day {day} has landed ({told})"
    else:
        message = f"day {day} has not landed, and no source landed in the {SILENT_DAYS} days before ({told})"
    return Landing(awaited, has_landed, not awaited and not has_landed, message)


def _advice(day: date) -> str:
    return f"land it by `throughline land --source NAME PATH`, or close it as empty with `--arrival-day {day}`"
