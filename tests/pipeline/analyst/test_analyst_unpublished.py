"""A run that a gate stopped: its rejected lines and its day can be read, and say that they are not published."""

from datetime import date
from typing import Any

import pytest

from pipeline.analyst.explain_day import explain_day
from pipeline.analyst.rejects import RejectFilter, format_rejects, list_rejects
from pipeline.analyst.release import newest_readable, newest_release, unpublished_run
from pipeline.analyst.replay_plan import plan_replay
from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.warehouse.names import NIGHT_TABLES

DAY, NEXT = date(2026, 1, 31), date(2026, 2, 1)


def test_a_stopped_first_night_can_be_read(stopped: Any) -> None:
    run = newest_readable(stopped.catalog)
    assert (run.as_of, run.run_id, run.is_published) == (DAY, "terminal_20260131", False)
    assert sorted(run.snapshots) == sorted(NIGHT_TABLES)
    assert str(run) == "run terminal_20260131 of 2026-01-31, which is not published"


def test_its_rejected_lines_are_listed(stopped: Any, shown: Any) -> None:
    chosen = RejectFilter("shop")
    rows = list_rejects(stopped.catalog, chosen, 1, stopped.zone)
    assert {row["reason"]: row["line_count"] for row in rows.to_pylist()} == {"unparsable": 1, "missing_user": 1}
    text = shown(format_rejects(rows, chosen, newest_readable(stopped.catalog)))
    assert "Rejected lines of shop in run terminal_20260131 of 2026-01-31, which is not published" in text
    assert "throughline rejects replay" in text


def test_its_day_is_explained(stopped: Any, shown: Any) -> None:
    text = shown(explain_day(stopped.catalog, DAY))
    assert "by run terminal_20260131 of 2026-01-31, which is not published: a gate or a failure stopped it" in text
    assert "shop: 5 lines in = 3 accepted + 0 duplicates + 2 rejects ✓" in text


def test_a_query_says_what_can_be_read_instead(stopped: Any) -> None:
    with pytest.raises(InputError, match=r"nothing is published yet: run terminal_20260131 .* explain day 2026-01-31`"):
        newest_release(stopped.catalog, None)


def test_a_day_that_only_a_stopped_run_has_is_read_from_it(own_night: Any, shown: Any) -> None:
    own_night.stop(NEXT, "terminal_20260201")
    assert "2026-02-01, by run terminal_20260201" in shown(explain_day(own_night.catalog, NEXT))
    released = shown(explain_day(own_night.catalog, DAY))
    assert "2026-01-31, by the release of 2026-01-31 (run run-1)" in released and "--unpublished" not in released


def test_a_published_day_that_ran_again_says_so(own_night: Any, shown: Any) -> None:
    own_night.stop(DAY, "again")
    released = shown(explain_day(own_night.catalog, DAY))
    assert "by the release of 2026-01-31" in released
    assert "run again of 2026-01-31, which is not published, ran this day again: add --unpublished" in released
    assert "by run again" in shown(explain_day(own_night.catalog, DAY, unpublished=True))


def test_a_release_hides_the_stopped_run_unless_it_is_asked_for(own_night: Any) -> None:
    own_night.stop(NEXT, "terminal_20260201")
    assert newest_readable(own_night.catalog).is_published
    assert newest_readable(own_night.catalog, unpublished=True).run_id == "terminal_20260201"
    releases = [newest_readable(own_night.catalog, one) for one in (False, True)]
    of_next = RejectFilter(first=NEXT)
    counts = [list_rejects(own_night.catalog, of_next, 0, own_night.zone, release) for release in releases]
    assert [len(rows) for rows in counts] == [0, 2]


def test_without_a_stopped_run_there_is_none_to_read(night: Any) -> None:
    assert unpublished_run(night.catalog) is None
    with pytest.raises(InputError, match=r"no run is unpublished: .* leave out --unpublished"):
        newest_readable(night.catalog, unpublished=True)


def test_a_branch_to_which_no_step_has_written_is_no_run(own_night: Any) -> None:
    runs = own_night.catalog.load_table(("interest", "runs"))
    runs.manage_snapshots().create_branch(runs.current_snapshot().snapshot_id, "night_20260201").commit()
    assert unpublished_run(own_night.catalog) is None


def test_a_replay_runs_the_days_of_a_stopped_first_night(stopped: Any) -> None:
    replay = plan_replay(stopped.catalog, "shop", None, None, [DAY])
    assert replay is not None and replay.stopped_run is not None
    assert (replay.days, replay.reasons()) == (DayRange(DAY, DAY), "1 missing_user, 1 unparsable")


def test_a_replay_includes_the_days_of_a_stopped_later_night(own_night: Any) -> None:
    own_night.catalog.load_table(("interest", "rejects")).delete("source = 'shop'")
    own_night.publish(DAY)
    assert plan_replay(own_night.catalog, "shop", None, None) is None
    own_night.stop(NEXT, "terminal_20260201")
    replay = plan_replay(own_night.catalog, "shop", None, None)
    assert replay is not None and replay.days == DayRange(NEXT, NEXT)


@pytest.mark.parametrize("fixture", ["warehouse", "night"])
def test_a_source_that_landed_and_never_ran_runs_on_its_landed_days(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    landed = [date(2026, 2, 3), date(2026, 2, 1)]
    replay = plan_replay(request.getfixturevalue(fixture).catalog, "new", None, None, landed)
    assert replay is not None and (replay.days, replay.reasons()) == (DayRange(NEXT, date(2026, 2, 3)), "none")
