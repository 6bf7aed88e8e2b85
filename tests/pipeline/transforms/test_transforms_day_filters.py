"""Filters on days: the same rows as a list of the days, in few terms."""

from datetime import date, timedelta

import pytest
from pyspark.sql import functions as F

from pipeline.transforms.day_filters import is_on

FIRST = date(2026, 1, 1)
FIVE = [FIRST + timedelta(days=number) for number in range(5)]


@pytest.mark.parametrize("chosen", [[], [0], [4], [1, 3], [0, 1, 3], [0, 1, 3, 4], [3, 2, 1, 1], [0, 1, 2, 3, 4]])
def test_the_rows_of_the_days_are_found(frame_of, chosen: list[int]) -> None:
    days = [FIVE[number] for number in chosen]
    found = frame_of([{"day": day} for day in [*FIVE, None]], "day DATE").where(is_on(F.col("day"), days)).collect()
    assert [row.day for row in found] == sorted(set(days))


def test_the_filter_of_a_year_is_as_short_as_that_of_three_days(spark) -> None:
    year = [FIRST + timedelta(days=number) for number in range(365)]
    assert len(str(is_on(F.col("day"), year))) == len(str(is_on(F.col("day"), year[:3])))
