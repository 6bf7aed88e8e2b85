"""The days of a demo: history, then nights under Airflow."""

import pytest

from pipeline.days import DayRange, day_range
from pipeline.demo.demo import split_days


def days(text: str) -> DayRange:
    first, last = text.split()
    return day_range(None, first, last)


@pytest.mark.parametrize(
    ("all_days", "night_count", "history", "nights"),
    [
        ("2026-01-05 2026-02-01", 2, "2026-01-05 2026-01-30", "2026-01-31 2026-02-01"),
        ("2026-01-05 2026-02-01", 1, "2026-01-05 2026-01-31", "2026-02-01 2026-02-01"),
        ("2026-01-05 2026-02-01", 0, "2026-01-05 2026-02-01", None),
        ("2026-01-05 2026-01-07", 2, "2026-01-05 2026-01-05", "2026-01-06 2026-01-07"),
        ("2026-01-05 2026-01-06", 2, "2026-01-05 2026-01-06", None),
        ("2026-01-05 2026-01-05", 2, "2026-01-05 2026-01-05", None),
    ],
)
def test_the_last_days_are_nights_if_history_remains(
    all_days: str, night_count: int, history: str, nights: str | None
) -> None:
    assert split_days(days(all_days), night_count) == (days(history), days(nights) if nights else None)
