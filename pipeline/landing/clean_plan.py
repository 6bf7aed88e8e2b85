"""Which arrival days a run has to clean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.landing.zone import LandedDay


@dataclass(frozen=True)
class CleanPlan:
    """Landed days to clean, oldest first, and the requested days on which nothing landed."""

    landed: list[LandedDay]
    empty_days: list[date]

    @property
    def first(self) -> date:
        return min([day.day for day in self.landed] + self.empty_days)

    @property
    def last(self) -> date:
        return max([day.day for day in self.landed] + self.empty_days)


def plan_cleaning(
    wanted: DayRange,
    landed: Mapping[str, Mapping[date, LandedDay]],
    cleaned: Mapping[tuple[str, date], str],
    first_filled_since: Callable[[date], date | None],
) -> CleanPlan:
    """Return the days to clean for `wanted`, so that the result does not depend on the order of runs.

    These are the wanted days and each earlier day that is new or has changed since it was cleaned. Days cleaned after
    the first of them are cleaned again, since copies there may fill columns of its events. If a cleaned day comes after
    a new or changed one, days with earlier events that have copies since then are cleaned again too, since the new
    copies precede those that filled the events before.

    landed: closed days by source. cleaned: digest by source and day, as of the last cleaning.
    first_filled_since: returns for a day the earliest arrival day of the events before it with copies since, if any.

    Raises InputError if nothing has landed, or a wanted day lies after the newest landed day.
    """
    all_landed = [day for days in landed.values() for day in days.values()]
    if not all_landed:
        raise InputError("nothing has landed yet: expected a log; land one with `throughline land --source NAME PATH`")
    newest = max(day.day for day in all_landed)
    if wanted.last > newest:
        raise InputError(
            f"day {wanted.last} has not landed: the newest landed day is {newest}; "
            f"land the day's log with `throughline land`, or run an earlier day"
        )
    changed = [day for day in all_landed if day.day <= wanted.last and cleaned.get((day.source, day.day)) != day.sha256]
    first = min([wanted.first, *[day.day for day in changed]])
    late = [one.day for one in changed if any(day >= one.day for _, day in cleaned)]
    if late and (since := first_filled_since(min(late))):
        first = min(first, since)
    last = max([wanted.last, *[day for _, day in cleaned if day >= first]])
    chosen = [day for day in all_landed if first <= day.day <= last]
    filled = {day.day for day in chosen}
    return CleanPlan(
        landed=sorted(chosen, key=lambda day: (day.day, day.source)),
        empty_days=[day for day in wanted if day not in filled],
    )
