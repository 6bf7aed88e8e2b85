"""Filters on days that stay short however many days there are.

Iceberg evaluates a filter on each data file and sends it with each task. So a filter that lists a thousand days costs a
million comparisons where a table has a file for each day.
"""

from collections.abc import Iterable
from datetime import date
from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipeline.days import ranges_of


def is_on(day: Column, days: Iterable[date]) -> Column:
    """Return whether a date is one of the days; of consecutive days, the first and the last are compared."""
    ranges = ranges_of(days)
    single = [one.first for one in ranges if one.first == one.last]
    longer = [day.between(one.first, one.last) for one in ranges if one.first < one.last]
    return any_of([*longer, *([day.isin(single)] if single else [])])


def any_of(conditions: Iterable[Column]) -> Column:
    """Join conditions by OR, pair by pair: Spark Connect refuses an expression that is a hundred levels deep."""
    parts = list(conditions) or [F.lit(False)]
    while len(parts) > 1:
        parts = [reduce(or_, parts[start : start + 2]) for start in range(0, len(parts), 2)]
    return parts[0]
