"""Days and ranges of days: read from the command line, and formatted for messages."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.errors import UsageError


@dataclass(frozen=True)
class DayRange:
    """The UTC days from `first` to `last`, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise UsageError(f"empty range of days: --from {self.first} lies after --to {self.last}")

    def __iter__(self) -> Iterator[date]:
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


def days_in_words(days: int) -> str:
    """Return a number of days in words, such as `7 days`."""
    return f"{days} day{'' if days == 1 else 's'}"


def parse_day(text: str) -> date:
    """Read an ISO date. Raises UsageError with an example of a day."""
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day: expected a date such as 2026-01-31") from None


def parse_day_or_none(text: str | None) -> date | None:
    """Read an ISO date; None for none. Raises UsageError as `parse_day`."""
    return parse_day(text) if text else None


def day_range(day: str | None, first: str | None, last: str | None) -> DayRange:
    """Read `--day D`, or `--from A --to B`. Raises UsageError if neither or both are given."""
    if day and not first and not last:
        return DayRange(parse_day(day), parse_day(day))
    if first and last and not day:
        return DayRange(parse_day(first), parse_day(last))
    raise UsageError("which day? Expected --day D, or --from A with --to B")


def ranges_of(days: Iterable[date]) -> list[DayRange]:
    """Return days as ranges of consecutive days, in order."""
    ranges: list[DayRange] = []
    for day in sorted(set(days)):
        if ranges and day == ranges[-1].last + timedelta(days=1):
            ranges[-1] = DayRange(ranges[-1].first, day)
        else:
            ranges.append(DayRange(day, day))
    return ranges


def format_days(days: Iterable[date]) -> str:
    """Return days as text; consecutive days become ranges."""
    return ", ".join(str(part) for part in ranges_of(days))
