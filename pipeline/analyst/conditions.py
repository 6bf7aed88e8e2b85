"""Conditions on rows, by which PyIceberg leaves files and row groups unread.

Its expression classes are pydantic models whose constructors differ from what mypy derives; this file alone knows.
"""

from collections.abc import Collection
from typing import Any

from pyiceberg.expressions import And, BooleanExpression, EqualTo, In

equal_to: Any = EqualTo
one_of: Any = In


def equals(column: str, value: str) -> BooleanExpression:
    condition: BooleanExpression = equal_to(column, value)
    return condition


def is_among(column: str, values: Collection[str]) -> BooleanExpression:
    condition: BooleanExpression = one_of(column, set(values))
    return condition


def both(one: BooleanExpression, other: BooleanExpression) -> BooleanExpression:
    return And(one, other)
