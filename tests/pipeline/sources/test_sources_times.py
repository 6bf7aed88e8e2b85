"""Every form of times that `source new` knows is read by the expression that it writes, in the tests' Spark."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from pipeline.sources.times import (
    AMBIGUOUS,
    CLOCK_OF_DAY,
    COMPACT_DAY,
    DAY_FIRST,
    FORMS,
    MONTH_FIRST,
    TWELVE_HOURS,
    condition,
)
from pipeline.transforms.canonical import expression
from pipeline.transforms.rows import frame_of_rows

AT = datetime(2026, 3, 13, 9, 5, 7, tzinfo=UTC)
MINUTE = AT.replace(second=0)
SECONDS = int(AT.timestamp())
VALUES = [
    ("ISO 8601 with zone", "2026-03-13T09:05:07Z", AT),
    ("ISO 8601 with zone", "2026-03-13 10:05:07.000+01:00", AT),
    ("ISO 8601 with zone", "2026-03-13T10:05:07+0100", AT),
    ("ISO 8601 with zone", "2026-03-13 09:05:07 UTC", AT),
    ("ISO 8601", "2026-03-13 09:05:07", AT),
    ("ISO 8601", "2026-03-13 9:05", MINUTE),
    ("ISO 8601", "2026-03-13T09:05:07.000000123", AT),
    ("epoch seconds", f"{SECONDS}", AT),
    ("epoch seconds", f"{SECONDS}.0", AT),
    ("epoch milliseconds", f"{SECONDS}000", AT),
    ("epoch microseconds", f"{SECONDS}000000", AT),
    ("epoch nanoseconds", f"{SECONDS}000000000", AT),
    ("web server", "13/Mar/2026:10:05:07 +0100", AT),
    ("yyyy/MM/dd", "2026/03/13 09:05:07", AT),
    ("yyyy/MM/dd", "2026/3/13 9:05", MINUTE),
    ("dd.MM.yyyy", "13.03.2026 09:05:07", AT),
    ("dd.MM.yyyy", "13.3.2026 9:05", MINUTE),
    ("yyyyMMddHHmmss", "20260313090507", AT),
    ("RFC 1123", "Fri, 13 Mar 2026 09:05:07 GMT", AT),
    ("RFC 2822", "Fri, 13 Mar 2026 10:05:07 +0100", AT),
    ("month by name", "Mar 13, 2026 09:05:07", AT),
    ("month by name", "Mar 13 2026, 9:05", MINUTE),
    ("month by name, AM or PM", "Mar 13, 2026, 9:05:07 AM", AT),
    ("month by name, AM or PM", "Mar 13, 2026 09:05am", MINUTE),
]


def read(spark: Any, text: str, rule: str) -> Any:
    texts = frame_of_rows(spark, [(text,)], "x string")
    [row] = texts.select(expression(rule.replace("{x}", "x")).alias("at")).collect()
    return row["at"].astimezone(UTC) if row["at"] else None


@pytest.mark.parametrize(("form", "text", "expected"), VALUES)
def test_a_form_is_recognized_and_read(spark: Any, form: str, text: str, expected: datetime) -> None:
    with duckdb.connect() as connection:
        matching = [
            one
            for one in FORMS
            if connection.execute(f"SELECT {condition(one, 'v')} FROM (SELECT ? AS v)", [text]).fetchall() == [(True,)]
        ]
    assert [one.name for one in matching] == [form]
    assert read(spark, text, matching[0].expression) == expected


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("13/03/2026 09:05:07", DAY_FIRST),
        ("3/13/2026, 9:05", MONTH_FIRST),
        ("13/3/2026 9:05", DAY_FIRST),
        ("3/13/2026 9:05:07 AM", MONTH_FIRST.replace(*TWELVE_HOURS)),
        ("13/03/2026 9:05am", DAY_FIRST.replace(*TWELVE_HOURS)),
    ],
)
def test_days_and_months_are_read_in_their_order(spark: Any, text: str, rule: str) -> None:
    assert read(spark, text, rule) in (AT, MINUTE)
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {condition(AMBIGUOUS, 'v')} FROM (SELECT ? AS v)", [text]).fetchall() == [
            (True,)
        ]


@pytest.mark.parametrize("text", ["20260313 09:05:07", "20260313 9:05:07.000", "20260313 9:05"])
def test_a_compact_day_and_a_time_of_the_day_are_read(spark: Any, text: str) -> None:
    assert read(spark, text, f"to_timestamp({{x}}, '{COMPACT_DAY} {CLOCK_OF_DAY}')") in (AT, MINUTE)
    assert read(spark, text[:8], f"to_timestamp({{x}}, '{COMPACT_DAY}')") == AT.replace(hour=0, minute=0, second=0)


def test_every_form_has_a_value_here() -> None:
    assert {form.name for form in FORMS if form.expression} == {name for name, _, _ in VALUES}


@pytest.mark.parametrize("text", ["31/31/2026 09:05", "soon", "", "2026-99-99 10:00:00"])
def test_a_wrong_time_is_null_and_no_error(spark: Any, text: str) -> None:
    rules = {form.expression for form in FORMS if form.expression} | {DAY_FIRST, MONTH_FIRST}
    assert [read(spark, text, rule) for rule in sorted(rules)] == [None] * len(rules)
