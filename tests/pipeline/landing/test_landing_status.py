"""Whether a day has landed, and which sources are awaited."""

from datetime import date

import pytest

from pipeline.landing.status import look_for
from pipeline.landing.zone import LandedDay

DAY = date(2026, 1, 31)


def landed(**newest: str) -> dict[str, dict[date, LandedDay]]:
    """Return sources that closed one day each."""
    days = {source: date.fromisoformat(day) for source, day in newest.items()}
    return {source: {day: LandedDay(source, day, 10, "digest")} for source, day in days.items()}


@pytest.mark.parametrize(
    ("zone", "awaited", "has_landed", "has_ended"),
    [
        (landed(shop="2026-01-31"), [], True, False),
        (landed(shop="2026-02-03"), [], True, False),  # not closed, but a later day is: an empty day
        (landed(shop="2026-01-30"), ["shop"], False, False),
        (landed(shop="2026-01-24"), ["shop"], False, False),
        (landed(shop="2026-01-23"), [], False, True),  # nothing landed for more than a week
        (landed(shop="2026-01-31", app="2026-01-30"), ["app"], True, False),
        (landed(shop="2026-01-31", old="2017-12-03"), [], True, False),
        ({}, ["the first source"], False, False),
        ({"shop": {}}, ["the first source"], False, False),
    ],
)
def test_awaited_sources(
    zone: dict[str, dict[date, LandedDay]], awaited: list[str], has_landed: bool, has_ended: bool
) -> None:
    look = look_for(DAY, zone)
    assert (look.awaited, look.has_landed, look.has_ended) == (awaited, has_landed, has_ended)


def test_a_line_dated_far_ahead_does_not_end_the_waiting() -> None:
    days = [*(date(2026, 1, number) for number in range(20, 31)), date(2100, 1, 1)]
    zone = {"shop": {day: LandedDay("shop", day, 1 if day.year == 2100 else 900, "digest") for day in days}}
    look = look_for(DAY, zone)
    assert (look.awaited, look.has_landed) == (["shop"], False)
    assert "landed: shop through 2026-01-30" in look.message
    zone["shop"][DAY] = LandedDay("shop", DAY, 0, "digest")  # closed as empty
    assert look_for(DAY, zone).awaited == []


def test_the_message_has_the_landed_days_and_advice() -> None:
    message = look_for(DAY, landed(shop="2026-01-30")).message
    assert "day 2026-01-31 has not landed for shop (landed: shop through 2026-01-30)" in message
    assert "`throughline land --source NAME PATH`" in message
