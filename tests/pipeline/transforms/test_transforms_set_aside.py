"""A source's day whose lines fail their gate is kept out of a run; the other sources go on."""

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.jobs.clean import LINES_GATE, failed_days
from pipeline.quality.figures import load_suite
from pipeline.sources.schema import SET_ASIDE
from pipeline.transforms.set_aside import JudgedDay, days_to_set_aside, judge_days, with_days_set_aside

DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)
DDL = "source STRING, arrival_day DATE, file STRING, line BIGINT, part INT, reason STRING, detail STRING"


def judged(source: str, day: date, is_failed: bool, lines: int = 10) -> JudgedDay:
    return JudgedDay(source, day, lines, 0, is_failed)


# what was judged, the wanted days, sources of a TOML that is tried, which are set aside
CHOICES = {
    "one source of two fails": ([("web", DAY, True), ("tv", DAY, False)], [DAY], [], ["web"]),
    "none fails": ([("web", DAY, False)], [DAY], [], []),
    "the only source of the night fails": ([("web", DAY, True)], [DAY], [], []),
    "a day that failed before does not stop the next": (
        [("web", DAY, True), ("web", NEXT, False)], [NEXT], [], ["web"],
    ),
    "a day of a range would be empty": ([("web", DAY, True), ("web", NEXT, False)], [DAY, NEXT], [], []),
    "both sources fail": ([("web", DAY, True), ("tv", DAY, True)], [DAY], [], []),
    "a tried TOML stops": ([("web", DAY, True), ("tv", DAY, False)], [DAY], ["web"], []),
    "a tried TOML passes": ([("web", DAY, True), ("tv", DAY, False)], [DAY], ["tv"], ["web"]),
}  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_which_days_are_set_aside(choice: Any) -> None:
    found, wanted, tried, expected = choice
    chosen = days_to_set_aside([judged(*one) for one in found], wanted, tried)
    assert [one.source for one in chosen] == expected


def test_a_source_that_landed_no_line_does_not_keep_a_day_alive() -> None:
    found = [judged("web", DAY, True), judged("tv", DAY, False, lines=0)]
    assert days_to_set_aside(found, [DAY], []) == []


def test_the_setting_stop_keeps_no_day_out() -> None:
    """Then `audit` fails, as for a night without other sources. Nothing is computed."""
    step: Any = SimpleNamespace(settings=SimpleNamespace(failed_source="stop"))
    assert failed_days(step, cast(Any, None)) == []


def test_days_are_judged_by_lines_and_kept_out_whole(frame_of: Any) -> None:
    """Large days by share, small ones by count; a line of several events is sound if one of them is."""

    def rows(source: str, sound: int, rejected: int, excluded: int = 0, day: date = DAY) -> list[dict[str, object]]:
        reasons = [None] * sound + ["unparsable"] * rejected + ["picture"] * excluded
        of_day = {"source": source, "arrival_day": day, "file": "a", "part": 1}
        return [{**of_day, "line": line, "reason": reason} for line, reason in enumerate(reasons, 1)]

    small = rows("small", 4, 2)
    parts = [{**one, "part": 2, "reason": "unparsable"} for one in rows("parts", 9, 0) * 3]
    validated = frame_of(
        [*rows("large", 39, 11, excluded=100), *rows("whole", 0, 3), *small, *rows("parts", 9, 1), *parts], DDL
    )
    [gate] = [rule.broken for rule in load_suite("line_accounting").rules if rule.rule == LINES_GATE]
    found = judge_days(validated, ["parts"], gate)
    assert [(one.source, one.lines, one.rejected, one.is_failed) for one in found] == [
        ("large", 50, 11, True), ("parts", 10, 1, False), ("small", 6, 2, False), ("whole", 3, 3, True),
    ]  # fmt: skip
    assert str(found[0]) == "large 2026-01-05: 11 of 50 lines are rejected"
    kept_out = with_days_set_aside(validated, [found[0]])
    counts = {(row.source, row.reason): row["count"] for row in kept_out.groupBy("source", "reason").count().collect()}
    assert (
        counts["large", SET_ASIDE] == 39 and counts["large", "unparsable"] == 11 and counts["large", "picture"] == 100
    )
    assert counts["small", None] == 4
