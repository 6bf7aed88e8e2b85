"""Filters on rows, which let PyIceberg skip files and row groups.

PyIceberg's expressions are pydantic models whose constructors mypy derives wrongly: only this file has to cast them.
"""

from collections.abc import Collection
from datetime import date
from typing import Any

from pyiceberg.expressions import And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThanOrEqual

equal_to: Any = EqualTo
one_of: Any = In
at_least: Any = GreaterThanOrEqual
at_most: Any = LessThanOrEqual


def equals(column: str, value: str) -> BooleanExpression:
    condition: BooleanExpression = equal_to(column, value)
    return condition


def is_among(column: str, values: Collection[str] | Collection[int]) -> BooleanExpression:
    condition: BooleanExpression = one_of(column, set(values))
    return condition


def is_from(column: str, day: date) -> BooleanExpression:
    condition: BooleanExpression = at_least(column, day.isoformat())
    return condition


def is_until(column: str, day: date) -> BooleanExpression:
    condition: BooleanExpression = at_most(column, day.isoformat())
    return condition


def both(one: BooleanExpression, other: BooleanExpression) -> BooleanExpression:
    return And(one, other)
