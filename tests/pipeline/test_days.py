"""Days and ranges of days: parsed and formatted."""

from datetime import date

import pytest

from pipeline.days import DayRange, day_range, format_days, parse_day
from pipeline.errors import UsageError

FRIDAY, SATURDAY, SUNDAY = date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)


def test_a_day_is_an_iso_date() -> None:
    assert parse_day("2026-01-31") == SATURDAY


@pytest.mark.parametrize("text", ["yesterday", "31.01.2026", "2026-02-30", "2026-1-31", ""])
def test_an_invalid_day_is_an_error_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_day(text)
    assert str(caught.value) == f"{text!r} is not a day: expected a date such as 2026-01-31"


def test_a_range_holds_both_its_ends_and_crosses_months() -> None:
    days = DayRange(FRIDAY, SUNDAY)
    assert list(days) == [FRIDAY, SATURDAY, SUNDAY]
    assert FRIDAY in days and SUNDAY in days
    assert date(2026, 2, 2) not in days and "2026-01-31" not in days


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageError, match=r"empty range of days: --from 2026-02-01 lies after --to 2026-01-30"):
        DayRange(SUNDAY, FRIDAY)


def test_one_day_is_a_range_of_one() -> None:
    days = day_range("2026-01-31", None, None)
    assert days == DayRange(SATURDAY, SATURDAY) == day_range(None, "2026-01-31", "2026-01-31")
    assert list(days) == [SATURDAY] and str(days) == "2026-01-31"


def test_a_range_is_formatted_by_its_ends() -> None:
    assert str(day_range(None, "2026-01-30", "2026-02-01")) == "2026-01-30 to 2026-02-01"


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (None, None, None),
        (None, "2026-01-30", None),
        (None, None, "2026-01-30"),
        ("2026-01-30", "2026-01-30", None),
        ("2026-01-30", "2026-01-30", "2026-01-31"),
    ],
)
def test_neither_and_both_are_refused(day: str | None, first: str | None, last: str | None) -> None:
    with pytest.raises(UsageError, match=r"which day\? Expected --day D, or --from A with --to B"):
        day_range(day, first, last)


def test_days_are_formatted_as_consecutive_ranges() -> None:
    assert format_days([]) == ""
    assert format_days([SATURDAY]) == "2026-01-31"
    assert format_days([SUNDAY, FRIDAY, SATURDAY]) == "2026-01-30 to 2026-02-01"
    assert format_days([SUNDAY, FRIDAY, date(2026, 2, 2)]) == "2026-01-30, 2026-02-01 to 2026-02-02"
