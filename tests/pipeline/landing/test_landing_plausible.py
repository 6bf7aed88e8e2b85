"""The plausible days of a file: where its lines lie, a year before and three days after."""

from datetime import date, timedelta

import numpy as np
import pytest

from pipeline.landing.plausible import Limits, plausible_limits
from pipeline.sources.rules import Times

START = date(2026, 1, 1)
Volumes = dict[int, int]  # lines by day, counted from START


def every_day(count: int, lines: int) -> Volumes:
    return dict.fromkeys(range(count), lines)


# lines by day; the first and the last day of the bulk
BULKS: dict[str, tuple[Volumes, tuple[int, int]]] = {
    "one line": ({0: 1}, (0, 0)),
    "strays around four days": (
        {**every_day(4, 120), -45_000 + 20_000: 1, -9_000: 1, -800: 1, 10: 1, 6_000: 1, 7_000: 1}, (0, 3),
    ),
    "four lines of a day, and a stray": ({0: 4, 4_000: 1}, (0, 0)),
    "a stuck clock writes half a percent": ({**every_day(9, 100_000), 7_000: 4_700, -17_000: 200}, (0, 8)),
    "clocks ahead by any number of days": ({**every_day(30, 500), **dict.fromkeys(range(33, 300), 2)}, (0, 29)),
    "one line a week": ({7 * week: 1 for week in range(30)}, (0, 203)),
    "a batch a week, for four years": ({7 * week: 500 for week in range(200)}, (0, 1_393)),
    "few lines on irregular days": ({0: 1, 2: 2, 9: 1, 10: 1, 21: 3, 34: 1}, (0, 34)),
    "a spike at the start": ({0: 100_000, **dict.fromkeys(range(1, 30), 1500)}, (0, 29)),
    "closed for three weeks, then a day": ({**every_day(40, 100), 61: 90}, (0, 61)),
    "two samples, years apart": ({**every_day(5, 1_000), **{900 + day: 400 for day in range(5)}}, (0, 904)),
    "growth": ({day: 1 + day * day for day in range(60)}, (6, 59)),
}  # fmt: skip


@pytest.mark.parametrize(("volumes", "bulk"), BULKS.values(), ids=BULKS.keys())
def test_the_plausible_days_of_a_file(volumes: Volumes, bulk: tuple[int, int]) -> None:
    days = np.array([START + timedelta(days=day) for day in sorted(volumes)], "datetime64[D]")
    counts = np.array([volumes[day] for day in sorted(volumes)])
    first, last = (START + timedelta(days=day) for day in bulk)
    found = plausible_limits(days, counts, Times())
    assert found == Limits(first - timedelta(days=365), last + timedelta(days=3))
    received = plausible_limits(days, counts, Times(), has_receipt=True)
    assert received == Limits(first - timedelta(days=365), last + timedelta(days=365))


def test_the_toml_may_name_one_of_them() -> None:
    days, counts = np.array(["2026-01-01"], "datetime64[D]"), np.array([5])
    assert plausible_limits(days, counts, Times(earliest=date(2020, 1, 1))) == Limits(
        date(2020, 1, 1), date(2026, 1, 4)
    )
