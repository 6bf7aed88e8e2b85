"""Which arrival days a run has to clean."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.landing.log_days import plausible_days
from pipeline.landing.zone import LandedDay


@dataclass(frozen=True)
class CleanPlan:
    """Landed days to clean, oldest first, and the requested days on which nothing landed.

    stray: uncleaned days before the requested ones that lie far from all others; they wait to be requested.
    """

    landed: list[LandedDay]
    empty_days: list[date]
    stray: list[LandedDay] = field(default_factory=list)

    @property
    def first(self) -> date:
        return min([day.day for day in self.landed] + self.empty_days)

    @property
    def last(self) -> date:
        return max([day.day for day in self.landed] + self.empty_days)


def digest_if_set_aside(day: LandedDay, toml_sha256: str) -> str:
    """Return the digest that `runs` has of a day that was set aside: another TOML or other lines change it."""
    return hashlib.sha256(f"{day.sha256} set aside by {toml_sha256}".encode()).hexdigest()


def plan_cleaning(
    wanted: DayRange,
    landed: Mapping[str, Mapping[date, LandedDay]],
    cleaned: Mapping[tuple[str, date], str],
    first_filled_since: Callable[[date], date | None],
    tomls: Mapping[str, str],
    removed_before: date = date.min,
) -> CleanPlan:
    """Return the days to clean for `wanted`, so that the result does not depend on the order of runs.

    These are the wanted days and each earlier day that is new or has changed since it was cleaned. Days cleaned after
    the first of them are cleaned again, since copies there may fill columns of its events. If a cleaned day comes after
    a new or changed one, days with earlier events that have copies since then are cleaned again too, since the new
    copies precede those that filled the events before.

    An earlier day that lies implausibly far from all others waits until it is wanted: a stray line of 1990 must not let
    a night clean all days since. A day that was set aside is cleaned again when its lines or its TOML have changed.

    landed: closed days by source. cleaned: digest by source and day, as of the last cleaning.
    first_filled_since: returns for a day the earliest arrival day of the events before it with copies since, if any.
    tomls: the digest of the TOML of each source.
    removed_before: days before it have lost their lines by age; a line that lands on one waits as a stray day does.

    Raises InputError if nothing has landed, a wanted day lies after the newest plausible landed day, or a day to clean
    has lost its lines by age: its events would go.
    """
    all_landed = [day for days in landed.values() for day in days.values()]
    if not all_landed:
        raise InputError("nothing has landed yet: expected a log; land one with `throughline land --source NAME PATH`")
    limits = plausible_days(all_landed)
    newest = max(day.day for day in all_landed if day.day in wanted or day.day <= limits.latest)
    if wanted.last > newest:
        raise InputError(
            f"day {wanted.last} has not landed: the newest landed day is {newest}; "
            f"land the day's log with `throughline land`, or run an earlier day"
        )
    changed = [day for day in all_landed if day.day <= wanted.last and _is_changed(day, cleaned, tomls)]
    stray = [day for day in changed if day.day not in wanted and day.day < max(limits.earliest, removed_before)]
    changed = [day for day in changed if day not in stray]
    first = min([wanted.first, *[day.day for day in changed]])
    late = [one.day for one in changed if any(day >= one.day for _, day in cleaned)]
    if late and (since := first_filled_since(min(late))):
        first = min(first, since)
    if first < removed_before:
        raise InputError(
            f"{first} cannot be cleaned again: the landed lines of days before {removed_before} were removed by age "
            f"(keep_landing_days); run days from then on"
        )
    last = max([wanted.last, *[day for _, day in cleaned if day >= first]])
    chosen = [day for day in all_landed if first <= day.day <= last]
    filled = {day.day for day in chosen}
    return CleanPlan(
        landed=sorted(chosen, key=lambda day: (day.day, day.source)),
        empty_days=[day for day in wanted if day not in filled],
        stray=sorted(stray, key=lambda day: (day.day, day.source)),
    )


def _is_changed(day: LandedDay, cleaned: Mapping[tuple[str, date], str], tomls: Mapping[str, str]) -> bool:
    """Return whether the lines of a day were never cleaned, or have changed since. No line is nothing to clean."""
    before = cleaned.get((day.source, day.day))
    if before is None:
        return day.lines > 0
    return before not in (day.sha256, digest_if_set_aside(day, tomls[day.source]))
