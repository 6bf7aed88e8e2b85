"""The report of a night: each part's rows on small tables, and what the page shows of them."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.report.page import PARTS, delete_pages, render_report, rows_of, write_report
from pipeline.errors import InputError
from pipeline.jobs.publish import write_report_of
from pipeline.settings import Settings
from tests.pipeline.analyst.conftest import ANN, DAY, at, interest


def rows(name: str, warehouse: Any, day: date = DAY) -> list[dict[str, Any]]:
    [part] = [part for part in PARTS if part.name == name]
    with connect_to_catalog(warehouse.catalog) as connection:
        return rows_of(part, connection, day)


def profiles(tags: list[str], as_of: date, **more: Any) -> list[dict[str, Any]]:
    """Return one profile a tag, each of another user."""
    return [
        {"user_id": f"user-{number}", "as_of": as_of, "horizon_days": 7, "interests": [interest(tag, 0.5, 1)], **more}
        for number, tag in enumerate(tags)
    ]


def test_lines_and_rows_of_the_night(night) -> None:
    assert rows("lines", night) == [{"source": "shop", "lines": 8, "accepted": 5, "duplicates": 1, "rejects": 2}]
    assert rows("rows_made", night) == [
        {"human_event_count": 4, "session_count": 1, "sequence_count": 1, "profile_count": 1,
         "profiles_with_interest_count": 1}
    ]  # fmt: skip
    assert rows("lateness", night) == [{"days_late": "0", "event_count": 4}, {"days_late": "4", "event_count": 1}]
    assert [(row["bot_class"], row["event_count"]) for row in rows("bots", night)] == [("human", 4), ("declared", 1)]


def test_rejects_name_the_first_line(night) -> None:
    [found] = rows("rejects", night)
    assert found.pop("detail").startswith("[red]oops")
    assert found == {"source": "shop", "reason": "unparsable", "line_count": 2, "first_line": "log.jsonl:4"}


def test_sessions_by_hour_and_length_leave_bots_out(own_night) -> None:
    bot = {"session_id": "bot", "source": "shop", "started_at": at("2026-01-31T10:30"), "event_count": 40}
    own_night.append("sessions", bot)
    own_night.publish(DAY)
    hours = rows("session_hours", own_night)
    assert len(hours) == 24
    assert [row for row in hours if row["session_count"]] == [{"hour": "10", "session_count": 1}]
    assert rows("session_lengths", own_night) == [{"events": "2-3", "session_count": 1}]


def test_an_interest_of_few_users_is_not_shown(own_night) -> None:
    own_night.append("profiles", *profiles(["tea"] * 10 + ["<b>opera</b>"] * 9, DAY, cohort="2-4"))
    own_night.publish(DAY)
    assert [(row["cohort"], row["users"], row["mean_first_affinity"]) for row in rows("cohorts", own_night)] == [
        ("2-4", "19", 0.5),
        ("1", "fewer than 10", None),
    ]
    assert {row["users"] for row in rows("bots", own_night)} == {"fewer than 10"}
    assert rows("interests", own_night) == [
        {"tag": "tea", "user_count": 10, "expected_user_count": 5.0, "mean_trend": 0.0}
    ]


def test_drift_is_the_total_variation_between_nights(own_night) -> None:
    two_days_before = DAY - timedelta(days=2)
    own_night.append("profiles", *profiles(["jazz", "jazz", "tea", "tea"], two_days_before))
    own_night.publish(DAY)
    # From a half of jazz and a half of tea to jazz alone.
    assert rows("drift", own_night) == [{"as_of": DAY, "total_variation": 0.5}]


def test_calibration_compares_affinities_with_the_events_of_their_horizon(own_night) -> None:
    """The events of the day after do not count."""
    ann = {"user_id": ANN, "as_of": date(2026, 1, 23), "horizon_days": 7}
    own_night.append("profiles", {**ann, "interests": [interest("opera", 0.75, 1), interest("jazz", 0.25, 2)]})
    own_night.append("profiles", {**ann, "horizon_days": 14, "interests": [interest("opera", 0.95, 1)]})
    event = {"user_id": ANN, "event_id": "e9", "bot_class": "human", "tags": ["opera"]}
    own_night.append("events", {**event, "event_at": at("2026-01-30T23:59")})
    own_night.publish(DAY)
    assert rows("calibration", own_night, date(2026, 1, 30)) == [
        {"bin": 0.2, "pair_count": 1, "mean_affinity": 0.25, "came_true_share": 0.0},
        {"bin": 0.7, "pair_count": 1, "mean_affinity": 0.75, "came_true_share": 1.0},
    ]


def test_times_are_compared_with_the_nights_before(own_night) -> None:
    for days, seconds in ((1, 4.0), (2, 8.0), (20, 100.0)):
        own_night.append("runs", {"step": "clean", "day": DAY - timedelta(days=days), "seconds": seconds})
    own_night.publish(DAY)
    [clean] = [row for row in rows("step_times", own_night) if row["step"] == "clean"]
    assert clean == {"step": "clean", "seconds": 2.0, "median_seconds_before": 6.0, "night_count": 2}


def test_the_page_needs_no_other_file_and_shows_values_as_text(own_night, tmp_path: Path) -> None:
    markup = "<script>alert(1)</script>\x1b[31m"
    own_night.append("profiles", *profiles([markup] * 10, DAY, model_version=markup))
    own_night.append("rejects", {"source": markup, "reason": markup, "detail": markup, "file": "log", "line": 1})
    own_night.publish(DAY)
    file = write_report(own_night.catalog, DAY, tmp_path / "reports")
    page = file.read_text(encoding="utf-8")
    assert file == tmp_path / "reports" / f"{DAY}.html"
    assert "8 lines came in: 5 accepted" in page
    assert "<script" not in page and "\x1b" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    assert set(re.findall(r"""(?:src|href)=["']([^"']*)""", page)) == {"index.html"}
    assert page.count("<svg") == 3, "one for hours, lengths and interests each; one night has no drift"
    for part in PARTS:
        assert part.question in page.replace("&#39;", "'") and part.question.endswith((".", "?"))


def test_the_page_of_an_empty_day_says_so(own_night) -> None:
    own_night.append("runs", {"step": "clean", "day": date(2026, 2, 1), "source": "", "rows_out": {}})
    own_night.publish(date(2026, 2, 1))
    page = render_report(own_night.catalog, date(2026, 2, 1))
    assert "0 lines came in: 0 accepted" in page
    for part in PARTS:
        assert part.if_empty in page
    assert "Nothing landed on this day: it counts as empty." in page


def test_the_index_lists_the_pages_newest_first(night, tmp_path: Path) -> None:
    (tmp_path / "2026-01-30.html").write_text("of the night before")
    write_report(night.catalog, DAY, tmp_path)
    assert re.findall(r'href="([^"]*)"', (tmp_path / "index.html").read_text()) == [
        "2026-01-31.html",
        "2026-01-30.html",
    ]


def test_pages_of_old_days_are_deleted_and_those_of_others_stay(tmp_path: Path) -> None:
    kept = {"reports/2026-01-30.html", "reports/user-0a.html", "data_docs/2026-01-31.html", "erasures/2025-01-01.html"}
    for name in (*kept, "reports/2026-01-29.html", "data_docs/2025-12-31.html", "reports/index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('<a href="2026-01-29.html">')
    assert delete_pages(Settings(home=tmp_path), date(2026, 1, 30)) == 2
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.html")}
    assert left == {*kept, "reports/index.html"}
    assert re.findall(r'href="([^"]*)"', (tmp_path / "reports" / "index.html").read_text()) == ["2026-01-30.html"]


def test_a_day_that_no_night_ran_is_an_error(night) -> None:
    with pytest.raises(
        InputError, match="2026-02-09 is not in the release of 2026-01-31: its days are from 2026-01-31"
    ):
        render_report(night.catalog, date(2026, 2, 9))


def test_a_report_that_fails_is_a_warning_of_the_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.analyst.report.page.write_report", full)
    monkeypatch.setattr("pipeline.jobs.publish.pyiceberg_properties", lambda settings: {"type": "in-memory"})
    write_report_of(DAY, Settings(home=tmp_path))
    printed = capsys.readouterr().out
    assert printed.startswith(f"warning: {DAY} is published, but its report failed: OSError: ")
    assert "No space left on device" in printed and f"`throughline report --day {DAY}` writes it" in printed
