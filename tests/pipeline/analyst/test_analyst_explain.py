"""`explain day` and `explain user` show what the numbers are made of."""

from datetime import date
from typing import Any

import pytest

from pipeline.analyst.explain_day import equation, explain_day
from pipeline.analyst.explain_user import arrow, bar, explain_user
from pipeline.errors import InputError
from tests.pipeline.analyst.conftest import interest

DAY = date(2026, 1, 31)
ANN, BOT = "a" * 64, "b" * 64


def test_a_day_accounts_for_every_line(night: Any, shown: Any) -> None:
    text = shown(explain_day(night.catalog, DAY))
    assert "shop: 8 lines in = 5 accepted + 1 duplicates + 2 rejects ✓" in text
    assert "unparsable" in text and "[red]oops\\x1b[31mxxx" in text and "log.jsonl:4" in text
    assert "x" * 101 not in text and "\x1b" not in text
    late = next(line for line in text.splitlines() if "labelled late" in line)
    assert late.split("│")[1:3] == [" 4         ", " 1      "]
    assert "declared" in text and "human" in text
    assert "✓ 2 rules passed" in text and "between(share): 3 broken rows, within the limit" in text
    assert "⚠ users: devices: 2 rows break it, which only warns" in text
    assert "2 sessions" in text and "1 sequences" in text and "1 profiles" in text


@pytest.mark.parametrize(
    ("lines_in", "rejects", "end"), [(8, 2, "2 rejects ✓"), (9, 2, "✗ 1 lines are lost"), (7, 2, "✗ 1 lines too many")]
)
def test_the_equation_marks_lost_and_extra_lines(lines_in: int, rejects: int, end: str) -> None:
    assert equation("shop", lines_in, {"accepted": 5, "duplicates": 1, "rejects": rejects}).endswith(end)


def test_an_empty_day_says_so(own_night: Any, shown: Any) -> None:
    day = date(2026, 2, 1)
    own_night.append("runs", {"step": "clean", "day": day, "rows_out": {"accepted": 0}})
    own_night.publish(day)
    text = shown(explain_day(own_night.catalog, day))
    assert "nothing landed: an empty day ✓" in text and "no late arrivals" in text


def test_an_unknown_day_lists_the_known_ones(own_night: Any) -> None:
    own_night.append("runs", {"step": "clean", "day": date(2026, 2, 1)})  # not published
    with pytest.raises(InputError, match="2026-02-01 is not in the release of 2026-01-31: days there are: 2026-01-31"):
        explain_day(own_night.catalog, date(2026, 2, 1))


def test_a_user_shows_interests_evidence_and_events_that_do_not_count(night: Any, shown: Any) -> None:
    text = shown(explain_user(night.catalog, ANN))
    assert "1 sessions" in text and "counts-1" in text and "2026-01-31" in text
    assert "██████████░░░░░░░░░░ 0.500" in text and "↑ +0.250" in text and "new" in text and "↓ -0.125" in text
    assert "jazz, because of" in text
    assert "session s1: 2026-01-31 10:00 to 2026-01-31 10:09 UTC, 3 events" in text
    assert "2026-01-31 10:05:00  view  1  Blue Train" in text and "and 1 other events" in text
    assert "session s0: replaced when a late event arrived" in text
    assert "chess: estimated from popularity" in text
    assert "Not counted: 1 of 4 events known by this day" in text and "no consent" in text


def test_a_session_without_an_event_of_the_tag_says_so(own_night: Any, shown: Any) -> None:
    own_night.append("profiles", {"user_id": ANN, "as_of": date(2026, 2, 3), "interests": [
        interest("opera", 0.5, 1, evidence=["s1"])]})  # fmt: skip
    own_night.publish(date(2026, 2, 3))
    text = shown(explain_user(own_night.catalog, ANN))
    assert "no event of this session carries opera" in text and "Blue Train" in text
    assert "carries jazz" not in text


def test_the_newest_profile_is_explained(own_night: Any, shown: Any) -> None:
    own_night.append("profiles", {"user_id": ANN, "as_of": date(2026, 2, 3), "model_version": "newer"})
    own_night.publish(date(2026, 2, 3))
    text = shown(explain_user(own_night.catalog, ANN))
    assert "newer" in text and "no interests" in text and "Items to show next" not in text


def test_an_item_is_shown_with_its_reason(own_night: Any, shown: Any) -> None:
    why = [
        {"reason": "repeat"}, {"reason": "interest", "reason_tag": "jazz"},
        {"reason": "followed", "reason_item_id": "1"}, {"reason": "popular"}, {},
    ]  # fmt: skip
    items = [{"item_id": f"record {number}", "score": 0.5, **one} for number, one in enumerate(why)]
    own_night.append("profiles", {"user_id": ANN, "as_of": date(2026, 2, 3), "top_items": items})
    own_night.publish(date(2026, 2, 3))
    lines = shown(explain_user(own_night.catalog, ANN)).splitlines()
    found = [line.split("│")[4].strip() for line in lines if "record " in line]
    assert found == ["used before", "interest in jazz", "often in one session with Blue Train", "popular", ""]


def test_an_unknown_user_gets_advice_without_the_id(night: Any) -> None:
    with pytest.raises(InputError, match="hashed under this installation's key, so check its spelling") as caught:
        explain_user(night.catalog, "raw-id-given-by-mistake")
    assert "raw-id" not in str(caught.value)


def test_a_user_without_a_profile_gets_the_reason(night: Any) -> None:
    with pytest.raises(InputError, match=r"1 events but no profile .*: 1 a bot by its user agent"):
        explain_user(night.catalog, BOT)


@pytest.mark.parametrize(("trend", "expected"), [(0.001, "→ +0.001"), (0.1, "↑ +0.100"), (-0.1, "↓ -0.100")])
def test_arrows(trend: float, expected: str) -> None:
    assert arrow(trend) == expected


@pytest.mark.parametrize(("share", "filled"), [(0.0, 0), (1.0, 20), (1.2, 20)])
def test_bars(share: float, filled: int) -> None:
    assert bar(share).count("█") == filled
