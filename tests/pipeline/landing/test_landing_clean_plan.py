"""Which days a run cleans: the result must not depend on the order of runs."""

from datetime import date

import pytest

from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.landing.clean_plan import digest_if_set_aside, plan_cleaning
from pipeline.landing.zone import LandedDay


def day(number: int) -> date:
    return date(2026, 1, number)


TOMLS = {"web": "toml", "tv": "toml"}


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
    made = plan_cleaning(DayRange(day(first), day(last)), landed(**there), cleaned(**before), never, TOMLS)
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

    made = plan_cleaning(DayRange(day(7), day(7)), there, done, first_filled_since, TOMLS)
    assert ([one.day for one in made.landed], asked) == ([day(6), day(7), day(8)], [day(7)])
    again = plan_cleaning(DayRange(day(7), day(7)), there, {**done, ("web", day(7)): "c"}, first_filled_since, TOMLS)
    assert ([one.day for one in again.landed], asked) == ([day(7), day(8)], [day(7)])


def test_a_second_plan_has_only_the_wanted_day() -> None:
    """After a plan is carried out, the next run has only its own day."""
    there = landed(web=WEB)
    made = plan_cleaning(DayRange(day(7), day(7)), there, {}, never, TOMLS)
    done = {(one.source, one.day): one.sha256 for one in made.landed}
    assert [one.day for one in plan_cleaning(DayRange(day(8), day(8)), there, done, never, TOMLS).landed] == [day(8)]


def test_a_few_lines_of_1990_let_no_night_clean_history() -> None:
    """Lines of 1990, 2099 and 2100 beside a healthy source: the night cleans its day, and says which days wait."""
    years = {date(1990, 1, 1): 6, day(5): 1, date(2099, 1, 1): 1, date(2100, 1, 1): 1}
    poison = {one: LandedDay("tv", one, lines, "x") for one, lines in years.items()}
    healthy = {day(number): LandedDay("web", day(number), 900, "x") for number in (4, 5)}
    there = {"tv": poison, "web": healthy}
    made = plan_cleaning(DayRange(day(5), day(5)), there, cleaned(web={4: "x"}), never, TOMLS)
    assert [(one.source, one.day) for one in made.landed] == [("tv", day(5)), ("web", day(5))]
    assert made.stray == [poison[date(1990, 1, 1)]]
    with pytest.raises(InputError, match=r"2026-01-06 has not landed: the newest landed day is 2026-01-05"):
        plan_cleaning(DayRange(day(6), day(6)), there, {}, never, TOMLS)
    wanted = DayRange(date(1990, 1, 1), date(1990, 1, 1))
    assert plan_cleaning(wanted, there, {}, never, TOMLS).landed == [poison[date(1990, 1, 1)]]


def test_a_day_that_was_set_aside_waits_for_other_lines_or_another_toml() -> None:
    there = landed(web=WEB)
    done = {(one.source, one.day): one.sha256 for one in there["web"].values()}
    done[("web", day(6))] = digest_if_set_aside(there["web"][day(6)], "toml")
    wanted = DayRange(day(8), day(8))
    assert plan_cleaning(wanted, there, done, never, TOMLS).first == day(8)
    assert plan_cleaning(wanted, there, done, never, {"web": "corrected"}).first == day(6)
    assert plan_cleaning(wanted, landed(web={**WEB, 6: "grown"}), done, never, TOMLS).first == day(6)


def test_a_day_without_lines_that_was_never_cleaned_changes_nothing() -> None:
    there = landed(web=WEB)
    there["web"][day(5)] = LandedDay("web", day(5), 0, "none")
    done = cleaned(web={6: "b", 7: "c"})
    assert plan_cleaning(DayRange(day(8), day(8)), there, done, never, TOMLS).first == day(8)
    assert plan_cleaning(DayRange(day(8), day(8)), there, {**done, ("web", day(5)): "a"}, never, TOMLS).first == day(5)


def test_an_empty_landing_zone_is_an_error_with_advice() -> None:
    with pytest.raises(InputError, match=r"nothing has landed yet.*throughline land"):
        plan_cleaning(DayRange(day(5), day(5)), {"web": {}}, {}, never, TOMLS)


def test_a_day_after_the_newest_is_an_error_with_both_days() -> None:
    with pytest.raises(InputError, match=r"2026-01-09 has not landed.*2026-01-08"):
        plan_cleaning(DayRange(day(7), day(9)), landed(web=WEB), {}, never, TOMLS)


def test_a_day_whose_lines_were_removed_by_age_is_never_cleaned_again() -> None:
    """Its events would go. A line that lands on such a day waits, and nights go on."""
    before, wanted = cleaned(web={5: "a", 6: "b", 7: "c"}), DayRange(day(8), day(8))
    plan = plan_cleaning(wanted, landed(web={5: "late", 7: "c", 8: "d"}), before, never, TOMLS, day(7))
    assert [one.day for one in plan.landed] == [day(8)] and [one.day for one in plan.stray] == [day(5)]
    with pytest.raises(
        InputError, match=r"2026-01-06 cannot be cleaned again: .* before 2026-01-07 were removed by age"
    ):
        plan_cleaning(DayRange(day(6), day(8)), landed(web={7: "c", 8: "d"}), before, never, TOMLS, day(7))
    with pytest.raises(InputError, match="2026-01-05 cannot be cleaned again"):
        plan_cleaning(wanted, landed(web={7: "grown", 8: "d"}), before, lambda _: day(5), TOMLS, day(7))
