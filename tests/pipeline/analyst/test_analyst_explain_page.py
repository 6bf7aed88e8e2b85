"""`explain user --html`: what changed and why, and a page that shows texts of the log as text."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli_analyst
from pipeline.analyst.explain_page import Change, changes, write_explanation
from pipeline.analyst.user_history import read_history
from tests.pipeline.analyst.conftest import ANN, DAY, at, interest

SCRIPT = "<script>alert(1)</script>\x1b"
NEXT = date(2026, 2, 1)


@pytest.fixture
def two_nights(own_night: Any) -> Any:
    """The night of 31 January, then one in which Ann touches a tag with a script in its name."""
    event = {"source": "shop", "user_id": ANN, "bot_class": "human", "arrival_day": NEXT, "known_on": NEXT,
             "event_at": at("2026-02-01T09:00"), "item_space": "shop", "item_id": "2", "file": "next",
             "part": 1}  # fmt: skip
    own_night.append(
        "events",
        {**event, "event_id": "f1", "line": 1, "tags": [SCRIPT]},
        {**event, "event_id": "f2", "line": 2, "tags": ["jazz"], "consent": False},
    )
    own_night.append("items", {"space": "shop", "item_id": "2", "item": 12, "title": f"About {SCRIPT}"})
    named = ("event_at", "arrival_day", "file", "part", "item_space", "item_id")
    touched = {name: event[name] for name in named} | {"event_id": "f1", "line": 1, "event_type": "view"}
    own_night.append("sessions", {"session_id": "s2", "source": "shop", "user_id": ANN, "events": [touched]})
    interests = [interest(SCRIPT, 0.75, 1, is_new=True, evidence=["s2"]), interest("jazz", 0.375, 2, evidence=["s2"])]
    profile = {"user_id": ANN, "as_of": NEXT, "interests": interests, "cohort": "2-4", "model_version": "counts-1"}
    own_night.append("profiles", profile)
    own_night.publish(NEXT)
    return own_night


def test_changes_compare_with_the_release_before_and_count_the_new_events(two_nights: Any) -> None:
    assert changes(read_history(two_nights.catalog, ANN)) == [
        Change(SCRIPT, None, 0.75, 1),
        Change("chess", 0.25, None, 0),
        Change("jazz", 0.5, 0.375, 0),
    ]


def test_a_first_release_changes_nothing(night: Any) -> None:
    history = read_history(night.catalog, ANN)
    assert (history.profile_before, changes(history)) == (None, [])


def test_a_profile_that_the_release_did_not_score_again_is_unchanged(own_night: Any, tmp_path: Path) -> None:
    own_night.publish(NEXT)
    assert changes(read_history(own_night.catalog, ANN)) == []
    page = write_explanation(own_night.catalog, ANN, tmp_path).read_text(encoding="utf-8")
    assert "this release did not score the user again" in page


def test_the_page_shows_texts_of_the_log_as_text_and_needs_nothing_else(two_nights: Any, tmp_path: Path) -> None:
    file = write_explanation(two_nights.catalog, ANN, tmp_path)
    page = file.read_text(encoding="utf-8")
    assert file.name == f"user-{ANN[:16]}.html"
    assert "<script" not in page and "\x1b" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;\\x1b") >= 5
    assert re.findall(r"""(?:src|href)=["']""", page) == []
    assert page.count("<svg") == 1
    assert "1 new event" in page and "not listed" in page and "no consent" in page
    assert "No event of this session carries the tag." in page, "the session of jazz has none"
    assert "fewer than 10" in page, "the mean of a cohort of one user is not shown"
    assert "0.00 over 1 users" in write_explanation(two_nights.catalog, ANN, tmp_path, min_audience=1).read_text()


def test_the_command_prints_where_the_page_is(
    night: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    monkeypatch.setattr(cli_analyst, "open_catalog", lambda console: night.catalog)
    monkeypatch.setattr(cli_analyst, "_pseudonyms", lambda ids, source: [ANN])
    cli_analyst.explain_user("ann", html=True)
    page = tmp_path / "reports" / f"user-{ANN[:16]}.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert f"as of {DAY}" in page.read_text(encoding="utf-8")
