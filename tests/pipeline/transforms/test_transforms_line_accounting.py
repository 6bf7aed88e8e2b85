"""Line accounting: lines in = accepted + duplicates + rejects, for each file and day."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from pipeline.errors import GateError
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.zone import LandedDay
from pipeline.sources.schema import SET_ASIDE
from pipeline.transforms.device_stitching import devices_of_users
from pipeline.transforms.line_accounting import (
    OUTCOMES,
    FileAccount,
    count_outcomes,
    line_counts,
    require_nothing_lost,
    step_rows,
)
from pipeline.warehouse.run_log import StepRow

DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)
LINE = "source STRING, arrival_day DATE, file STRING, line BIGINT, part INT, reason STRING, is_collision BOOLEAN"


def lines(
    *numbers: int, file: str = "a", day: date = DAY, reason: str | None = None, source: str = "web"
) -> list[dict[str, object]]:
    alike = {"source": source, "arrival_day": day, "file": file, "reason": reason, "part": 1, "is_collision": False}
    return [{**alike, "line": number} for number in numbers]


def account(
    lines_in: int,
    accepted: int,
    duplicates: int,
    rejects: int,
    file: str = "a",
    excluded: int = 0,
    source: str = "web",
) -> FileAccount:
    outcomes = {"accepted": accepted, "duplicates": duplicates, "rejects": rejects}
    return FileAccount(source, DAY, file, lines_in, outcomes, excluded)


def test_outcomes_are_counted_per_file_and_day(frame_of) -> None:
    all_lines = lines(1, 2, 3, 4) + lines(1, file="b") + lines(5, day=NEXT)
    accepted, duplicates = lines(1, 2) + lines(5, day=NEXT), lines(3)
    rejects = lines(4, reason="unparsable") + lines(1, file="b", reason="static_asset")
    found = count_outcomes(*[frame_of(rows, LINE) for rows in (all_lines, accepted, duplicates, rejects)])
    assert found[:2] == [account(4, 2, 1, 1), account(1, 0, 0, 1, "b", excluded=1)]
    assert (found[2].day, found[2].lines_in, found[2].outcomes["accepted"]) == (NEXT, 1, 1)
    require_nothing_lost(found, [LandedDay("web", DAY, 5, ""), LandedDay("web", NEXT, 1, "")])


def test_a_line_of_several_events_has_one_outcome(frame_of) -> None:
    """Line 1: two events, a copy and a reject; line 2: a copy and a reject; line 3: two rejects."""
    all_lines = lines(1, 2, 3) + lines(1, source="tv")
    events = [{**one, "part": part} for one, part in zip(lines(1, 1), (1, 3), strict=True)] + lines(1, source="tv")
    copies = [{**one, "part": 2} for one in lines(1, 2)]
    rejects = [{**one, "part": 4} for one in lines(1, 2, 3, reason="unparsable")] + lines(3, reason="ping")
    frames = [frame_of(rows, LINE) for rows in (all_lines, events, copies, rejects)]
    of_tv, of_web = count_outcomes(*frames, unfolded=["web"])
    assert of_web == account(3, 1, 1, 1, excluded=1)
    assert of_tv == account(1, 1, 0, 0, source="tv")


def test_collisions_are_counted_among_the_accepted(frame_of) -> None:
    events = [lines(1)[0], {**lines(2)[0], "is_collision": True}]
    (found,) = count_outcomes(*[frame_of(rows, LINE) for rows in (events, events, [], [])])
    assert (found.outcomes["accepted"], found.collisions) == (2, 1)


def test_outcomes_are_counted_per_source_even_if_files_share_a_name(frame_of) -> None:
    rows = lines(1, 2) + lines(1, 2, 3, source="tv")
    found = count_outcomes(
        frame_of(rows, LINE), frame_of(rows[:-1], LINE), frame_of(rows[-1:], LINE), frame_of([], LINE)
    )
    assert found == [account(3, 2, 1, 0, source="tv"), account(2, 2, 0, 0)]


@pytest.mark.parametrize("one", [account(4, 2, 1, 0), account(4, 3, 1, 1), account(0, 1, 0, 0)])
def test_a_lost_or_extra_line_is_an_error_with_the_counts(one: FileAccount) -> None:
    with pytest.raises(GateError, match=f"lines were lost: web 2026-01-05 a has {one.lines_in} lines in, but"):
        require_nothing_lost([one], [])


def test_a_day_that_lacks_lines_is_an_error_with_advice() -> None:
    with pytest.raises(GateError, match=r"closed with 5 lines, 4 are there.*Put it back"):
        require_nothing_lost([account(4, 4, 0, 0)], [LandedDay("web", DAY, 5, "")])


def test_extra_lines_of_one_source_do_not_hide_missing_lines_of_another() -> None:
    """`web` closed the day with 5 lines and `tv` with 3; 4 and 4 are found."""
    landed = [LandedDay("web", DAY, 5, ""), LandedDay("tv", DAY, 3, "")]
    require_nothing_lost([account(5, 5, 0, 0), account(3, 3, 0, 0, source="tv")], landed)
    with pytest.raises(GateError, match="web 2026-01-05 was closed with 5 lines, 4 are there"):
        require_nothing_lost([account(4, 4, 0, 0), account(4, 4, 0, 0, source="tv")], landed)


@pytest.fixture
def counts_of(frame_of: Any) -> Callable[..., list[Any]]:
    """Return the function that counts lines per source and day, as `clean` has recorded them."""

    def count(*accounts: FileAccount) -> list[Any]:
        landed = [LandedDay(source, DAY, 0, "") for source in sorted({one.source for one in accounts})]
        recorded = [
            {"source": row.source, "day": row.day, "rows_in": row.rows_in, "rows_out": list(row.rows_out.items())}
            for row in step_rows(CleanPlan(landed, []), accounts, {})
        ]
        cleaned = frame_of(recorded, "source STRING, day DATE, rows_in BIGINT, rows_out MAP<STRING, BIGINT>")
        rows: list[Any] = line_counts(cleaned, frame_of([], LINE)).collect()
        return rows

    return count


def test_lines_are_counted_per_source_and_day(counts_of) -> None:
    (row,) = counts_of(account(4, 2, 1, 1), account(6, 2, 1, 1, "b"))
    assert (row.lines_in, row.accepted, row.duplicates, row.rejects, row.reject_share) == (10, 4, 2, 2, 0.2)


def test_lines_of_two_sources_are_counted_apart(counts_of) -> None:
    """A large sound source does not hide a broken one."""
    rows = counts_of(account(90, 90, 0, 0), account(10, 0, 2, 8, source="tv"))
    found = {row.source: (row.lines_in, row.accepted + row.duplicates + row.rejects, row.reject_share) for row in rows}
    assert found == {"web": (90, 90, 0.0), "tv": (10, 10, 0.8)}


def test_excluded_lines_do_not_count_for_the_reject_share(counts_of) -> None:
    """Of 100 lines of a web server, 90 are excluded pictures; of the other ten, one is broken."""
    (row,) = counts_of(account(100, 9, 0, 91, excluded=90))
    assert (row.lines_in, row.accepted + row.duplicates + row.rejects, row.reject_share) == (100, 100, 0.1)
    (row,) = counts_of(account(5, 0, 0, 5, excluded=5))
    assert (row.accepted + row.duplicates + row.rejects, row.reject_share) == (5, 0.0)


def test_reasons_are_counted_without_excluded_lines_and_the_most_frequent_comes_first(frame_of) -> None:
    reasons = ["missing_user", "unparsable", "unparsable", "picture"]
    written = [{"source": "web", "arrival_day": DAY, "reason": reason} for reason in reasons]
    recorded = [
        {"source": source, "day": DAY, "rows_in": 4, "rows_out": [("rejects", count), ("excluded", excluded)]}
        for source, count, excluded in (("web", 4, 1), ("calm", 0, 0))
    ]
    cleaned = frame_of(recorded, "source STRING, day DATE, rows_in BIGINT, rows_out MAP<STRING, BIGINT>")
    rows = {row.source: (row.excluded, row.reasons) for row in line_counts(cleaned, frame_of(written, LINE)).collect()}
    assert rows == {"web": (1, "2 unparsable, 1 missing_user"), "calm": (0, "")}


def test_a_day_that_was_set_aside_tells_the_lines_it_was_judged_by(frame_of) -> None:
    """Of 6 lines, 2 were rejected and 1 excluded; 3 sound ones are kept out with them."""
    reasons = ["unparsable", "missing_user", "picture", SET_ASIDE, SET_ASIDE, SET_ASIDE]
    written = [{**one, "reason": reason} for one, reason in zip(lines(1, 2, 3, 4, 5, 6), reasons, strict=True)]
    plan = CleanPlan([LandedDay("web", DAY, 6, "digest")], [])
    (row,) = step_rows(plan, [account(6, 0, 0, 6, excluded=1)], {("web", DAY): "waits"})
    assert (row.rows_out[SET_ASIDE], row.input_sha256) == (5, "waits")
    recorded = [{"source": "web", "day": DAY, "rows_in": 6, "rows_out": list(row.rows_out.items())}]
    cleaned = frame_of(recorded, "source STRING, day DATE, rows_in BIGINT, rows_out MAP<STRING, BIGINT>")
    (found,) = line_counts(cleaned, frame_of(written, LINE)).collect()
    assert (found.set_aside, found.rejected, found.reject_share) == (5, 2, 0.4)
    assert found.reasons == "1 unparsable, 1 missing_user"


def test_devices_are_counted_per_user_and_day(frame_of) -> None:
    ddl = "source STRING, user_id STRING, device_id STRING, event_at TIMESTAMP"
    at = {"source": "web", "event_at": "2026-01-05T23:00:00"}
    used = [("ann", "d1"), ("ann", "d2"), ("ann", "d2"), ("ann", None), ("d3", "d3")]
    rows = [{**at, "user_id": user, "device_id": device} for user, device in used]
    rows.append({**rows[0], "event_at": "2026-01-06T00:30:00"})
    found = devices_of_users(frame_of(rows, ddl)).collect()
    assert sorted((row.user_id, row.day, row.device_count, row.event_count) for row in found) == [
        ("ann", DAY, 2, 3), ("ann", NEXT, 1, 1), ("d3", DAY, 1, 1),
    ]  # fmt: skip


def test_every_planned_day_has_a_row_even_an_empty_one() -> None:
    plan = CleanPlan([LandedDay("web", DAY, 4, "digest")], [NEXT])
    empty, day = step_rows(plan, [account(4, 2, 1, 1)], {})
    assert (empty.day, empty.rows_in, sum(empty.rows_out.values())) == (NEXT, 0, 0)
    assert (day.day, day.source, day.rows_in, day.input_sha256) == (DAY, "web", 4, "digest")
    assert day.rows_out == {"accepted": 2, "duplicates": 1, "rejects": 1, "excluded": 0, "collisions": 0}


def test_each_source_of_a_day_has_a_row_with_its_own_lines() -> None:
    plan = CleanPlan([LandedDay("tv", DAY, 3, "of tv"), LandedDay("web", DAY, 10, "of web")], [])
    web = [account(4, 2, 1, 1), account(6, 6, 0, 0, "b")]

    def lines_of(row: StepRow) -> dict[str, int]:
        return {outcome: row.rows_out[outcome] for outcome in OUTCOMES}

    tv, both_files = step_rows(plan, [*web, account(3, 1, 2, 0, source="tv")], {})
    assert (tv.source, tv.rows_in, tv.input_sha256) == ("tv", 3, "of tv")
    assert lines_of(tv) == {"accepted": 1, "duplicates": 2, "rejects": 0}
    assert (both_files.source, both_files.rows_in, both_files.input_sha256) == ("web", 10, "of web")
    assert lines_of(both_files) == {"accepted": 8, "duplicates": 1, "rejects": 1}
