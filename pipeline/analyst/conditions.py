"""Conditions on rows, by which PyIceberg leaves files and row groups unread.

Its expression classes are pydantic models whose constructors differ from what mypy derives; this file alone knows.
"""

from collections.abc import Collection

from pyiceberg.expressions import And, BooleanExpression, EqualTo, In


def equals(column: str, value: str) -> BooleanExpression:
    return EqualTo(column, value)  # type: ignore[call-arg, misc]


def is_among(column: str, values: Collection[str]) -> BooleanExpression:
    return In(column, set(values))  # type: ignore[call-arg, misc]


def both(one: BooleanExpression, other: BooleanExpression) -> BooleanExpression:
    return And(one, other)
