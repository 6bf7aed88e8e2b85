"""Which days a run cleans: the result must not depend on the order of runs."""

from datetime import date

import pytest

from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.landing.clean_plan import plan_cleaning
from pipeline.landing.zone import LandedDay


def day(number: int) -> date:
    return date(2026, 1, number)


def never(_: date) -> None:
    """Return None: no event has copies from a later day."""


def landed(**sources: dict[int, str]) -> dict[str, dict[date, LandedDay]]:
    """Return closed days by source, given as digests by day of the month."""
    return {
        source: {day(number): LandedDay(source, day(number), 10, digest) for number, digest in days.items()}
        for source, days in sources.items()
    }


def cleaned(**sources: dict[int, str]) -> dict[tuple[str, date], str]:
    return {(source, day(number)): digest for source, days in sources.items() for number, digest in days.items()}


WEB = {5: "a", 6: "b", 7: "c", 8: "d"}

# wanted days, what landed, what was cleaned, days to clean by source, empty days
PLANS = {
    "the first night cleans its day": ((5, 5), {"web": {5: "a"}}, {}, ["web 5"], []),
    "a range is cleaned whole": ((5, 7), {"web": WEB}, {}, ["web 5", "web 6", "web 7"], []),
    "earlier uncleaned days come along, oldest first": (
        (8, 8), {"web": WEB}, {"web": {6: "b"}}, ["web 5", "web 6", "web 7", "web 8"], [],
    ),
    "later days wait for their night": ((6, 6), {"web": WEB}, {"web": {5: "a"}}, ["web 6"], []),
    "earlier cleaned days are left alone": (
        (8, 8), {"web": WEB}, {"web": {5: "a", 6: "b", 7: "c"}}, ["web 8"], [],
    ),
    "a day on which nothing landed is empty": ((6, 6), {"web": {5: "a", 7: "c"}}, {"web": {5: "a"}}, [], [6]),
    "an empty day does not hide an uncleaned one": ((6, 6), {"web": {5: "a", 7: "c"}}, {}, ["web 5"], [6]),
    "empty days of a range": ((5, 8), {"web": {5: "a", 8: "d"}}, {}, ["web 5", "web 8"], [6, 7]),
    "a day that grew is cleaned again, and all later cleaned days after it": (
        (8, 8), {"web": {**WEB, 6: "grown"}}, {"web": {5: "a", 6: "b", 7: "c"}}, ["web 6", "web 7", "web 8"], [],
    ),
    "a day that grew is cleaned again with days after the wanted one that were cleaned": (
        (6, 6), {"web": {**WEB, 6: "grown"}}, {"web": {5: "a", 6: "b", 7: "c"}}, ["web 6", "web 7"], [],
    ),
    "a day that lands late makes later cleaned days be cleaned again": (
        (5, 5), {"web": WEB}, {"web": {6: "b", 7: "c"}}, ["web 5", "web 6", "web 7"], [],
    ),
    "the newest cleaned day again, unchanged": ((8, 8), {"web": WEB}, {"web": WEB}, ["web 8"], []),
    "both sources of a day": ((5, 5), {"web": {5: "a"}, "tv": {5: "x"}}, {}, ["tv 5", "web 5"], []),
    "a second source brings its earlier days": (
        (6, 6), {"web": {5: "a", 6: "b"}, "tv": {5: "x"}}, {"web": {5: "a"}}, ["tv 5", "web 5", "web 6"], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_the_days_to_clean(plan) -> None:
    (first, last), there, before, wanted, empty = plan
    made = plan_cleaning(DayRange(day(first), day(last)), landed(**there), cleaned(**before), never)
    assert [f"{one.source} {one.day.day}" for one in made.landed] == wanted
    assert made.empty_days == [day(number) for number in empty]
    days = [one.day for one in made.landed] + made.empty_days
    assert (made.first, made.last) == (min(days), max(days))


def test_days_filled_by_later_copies_are_cleaned_again_after_a_late_day() -> None:
    """Events with copies on or after the late day are cleaned again; a mere repetition cleans no other day."""
    there, done = landed(web=WEB), cleaned(web={5: "a", 6: "b", 8: "d"})
    asked = []

    def first_filled_since(since: date) -> date:
        asked.append(since)
        return day(6)

    made = plan_cleaning(DayRange(day(7), day(7)), there, done, first_filled_since)
    assert ([one.day for one in made.landed], asked) == ([day(6), day(7), day(8)], [day(7)])
    again = plan_cleaning(DayRange(day(7), day(7)), there, {**done, ("web", day(7)): "c"}, first_filled_since)
    assert ([one.day for one in again.landed], asked) == ([day(7), day(8)], [day(7)])


def test_a_second_plan_has_only_the_wanted_day() -> None:
    """After a plan is carried out, the next run has only its own day."""
    there = landed(web=WEB)
    made = plan_cleaning(DayRange(day(7), day(7)), there, {}, never)
    done = {(one.source, one.day): one.sha256 for one in made.landed}
    assert [one.day for one in plan_cleaning(DayRange(day(8), day(8)), there, done, never).landed] == [day(8)]


def test_an_empty_landing_zone_is_an_error_with_advice() -> None:
    with pytest.raises(InputError, match=r"nothing has landed yet.*throughline land"):
        plan_cleaning(DayRange(day(5), day(5)), {"web": {}}, {}, never)


def test_a_day_after_the_newest_is_an_error_with_both_days() -> None:
    with pytest.raises(InputError, match=r"2026-01-09 has not landed.*2026-01-08"):
        plan_cleaning(DayRange(day(7), day(9)), landed(web=WEB), {}, never)
