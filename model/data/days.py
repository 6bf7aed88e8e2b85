"""UTC days and moments. A moment is a count of microseconds since the epoch, as Arrow and Iceberg keep it."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from model.errors import UsageError

UTC_MOMENT = pa.timestamp("us", tz="UTC")


EPOCH = date(1970, 1, 1)
MICROS_PER_DAY = 86_400_000_000

DAYS_SEEN = 90  # users not seen for longer are neither scored nor used in training
HORIZON_DAYS = 7  # how far affinity and return_probability look, unless the home sets another horizon
MAX_HORIZON_DAYS = 28


def day_number(day: date) -> int:
    return (day - EPOCH).days


def partition_day(value: object) -> date:
    """Return the day of a file of a table that is partitioned by `as_of`, from PyIceberg's value of the partition."""
    if isinstance(value, date):
        return value
    assert isinstance(value, int), f"as_of is partitioned by {value!r}, neither a date nor days since 1970"
    return EPOCH + timedelta(days=value)


def end_of_day(day: date) -> int:
    """Return the moment at which `day` is over; an event at it belongs to the next day."""
    return (day_number(day) + 1) * MICROS_PER_DAY


def days_from_to(first: date, last: date) -> list[date]:
    """Return every day, both ends included. Raises UsageError if there is none."""
    if first > last:
        raise UsageError(f"empty range of days: --from {first} lies after --to {last}")
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def parse_day(text: str) -> date:
    """Read an ISO date. Raises UsageError saying what a day looks like."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day: expected a date such as 2026-01-31") from None


def days_in_words(days: int) -> str:
    """Return a number of days in words, such as `7 days`."""
    return f"{days} day{'' if days == 1 else 's'}"


def clock() -> datetime:
    return datetime.now(UTC)
