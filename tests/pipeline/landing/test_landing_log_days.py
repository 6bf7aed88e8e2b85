"""The days that a run over a log needs."""

from datetime import date, timedelta

import pytest

from pipeline.days import DayRange
from pipeline.landing.log_days import days_of_log, left_out, real_days, stray_days
from pipeline.landing.zone import LandedDay

START = date(2026, 1, 1)


def day(number: int) -> date:
    return START + timedelta(days=number)


# first and last wanted day, days with lines, the parts that run, days left out
RANGES = {
    "a log without gaps": ((0, 3), [0, 1, 2, 3], [(0, 3)], 0),
    "short gaps run": ((0, 40), [0, 10, 40], [(0, 40)], 0),
    "days of 2000 and 2037 among those of 2026": (
        (-9_500, 4_100), [-9_500, 0, 1, 2, 4_100], [(-9_500, -9_500), (0, 2), (4_100, 4_100)], 13_596,
    ),
    "days before the log": ((-100, 1), [0, 1, 2], [(0, 1)], 100),
    "a few days before the log": ((-5, 1), [0, 1], [(-5, 1)], 0),
    "the last wanted day runs without lines": ((0, 90), [0, 1], [(0, 1), (90, 90)], 88),
    "lines elsewhere": ((0, 9), [-50, 60], [(0, 9)], 0),
    "no line near a long range": ((0, 99), [-50], [(99, 99)], 99),
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "landed", "expected", "count"), RANGES.values(), ids=RANGES.keys())
def test_a_range_leaves_out_its_long_empty_stretches(
    wanted: tuple[int, int], landed: list[int], expected: list[tuple[int, int]], count: int
) -> None:
    days = DayRange(day(wanted[0]), day(wanted[1]))
    parts = days_of_log(days, [day(number) for number in landed])
    assert parts == [DayRange(day(first), day(last)) for first, last in expected]
    text = left_out(days, parts)
    assert text.startswith(f"{count:,} days of {days} are left out") if count else not text


def test_stray_days_are_no_days_of_a_demo() -> None:
    """One line of September and one two days after the end, by clocks that are wrong but plausible."""
    volumes = {-120: 1, **dict.fromkeys(range(20), 900), 21: 2}
    landed = {day(number): LandedDay("web", day(number), lines, "") for number, lines in volumes.items()}
    real = real_days(landed)
    assert real == DayRange(day(0), day(19))
    assert stray_days(landed, real) == (
        "the lines lie on 2026-01-01 to 2026-01-20; stray days before: 1, cleaned with them; "
        "stray days after: 1, from 2026-01-22 on, which wait for `throughline run`"
    )
    assert stray_days({one: landed[one] for one in real}, real) == ""


def test_a_log_of_empty_days_has_days_nevertheless() -> None:
    assert real_days({day(0): LandedDay("web", day(0), 0, "")}) == DayRange(day(0), day(0))
