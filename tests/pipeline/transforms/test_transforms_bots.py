"""Bots are found by their user agents and by their behaviour, per user and day."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.transforms.bots import BotRules, find_bots, with_declared_bots

DAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = 3600.0
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1"


def at(seconds: Iterable[float]) -> list[datetime]:
    return [DAY + timedelta(seconds=float(one)) for one in seconds]


def people() -> dict[str, list[datetime]]:
    """Return the times of events by user, who is named for the behaviour; all on one day, if not stated otherwise."""
    random = np.random.default_rng(3)

    def irregular(count: int, hours: float, start: float = 0.0) -> Iterable[float]:
        return start * HOUR + np.sort(random.uniform(0, hours * HOUR, count))

    def alternating(seconds: int) -> Iterable[float]:
        """Return 101 times, with 100 gaps of a minute, alternately longer and shorter by so many seconds."""
        return np.concatenate([[0], np.cumsum([60 - seconds, 60 + seconds] * 50)])

    bursts = np.concatenate([hour * HOUR + random.uniform(0, 900, 40) for hour in (9, 10, 13, 14, 20, 21)])
    return {
        "busy human": at(np.sort(bursts)),  # 240 events, none of them a bot's
        "a tick short of the rate": at(irregular(599, 1)),
        "rate": at(irregular(600, 1)),
        "rate over two hours": at(irregular(700, 2)),
        "regular": at(np.arange(100) * 60 + random.normal(0, 3, 100)),
        "regular, but short": at(np.arange(99) * 60),
        "gaps vary by 11 s of a minute": at(alternating(11)),
        "gaps vary by 12 s of a minute": at(alternating(12)),  # exactly the threshold
        "gaps vary by 13 s of a minute": at(alternating(13)),
        "all in one second": at(np.zeros(100)),
        "span": at(irregular(400, 24)),
        "awake for 20 hours": at(irregular(400, 20)),
        "awake for 21 hours": at(irregular(400, 21)),
        "few events all day": at(irregular(199, 24)),
        "one event": at([5.0]),
    }


BOTS = {"rate", "regular", "gaps vary by 11 s of a minute", "span", "awake for 21 hours"}


@pytest.fixture(scope="module")
def classes(frame_of) -> dict[tuple[str, str], Any]:
    rows = [
        {"user_id": user, "known_on": DAY.date(), "event_at": one, "is_declared": False}
        for user, times in people().items()
        for one in times
    ]
    tuesday = DAY.date() + timedelta(days=1)
    rows += [{**row, "known_on": tuesday, "user_id": "rate"} for row in rows if row["user_id"] == "busy human"]
    rows += [
        {"user_id": "declared", "known_on": DAY.date(), "event_at": one, "is_declared": number == 3}
        for number, one in enumerate(at(range(0, 3000, 500)))
    ]
    rows += [{"user_id": "declared", "known_on": tuesday, "event_at": at([9])[0], "is_declared": False}]
    random = np.random.default_rng(4)
    shuffled = [rows[place] for place in random.permutation(len(rows))]
    frame = frame_of(shuffled, "user_id STRING, known_on DATE, event_at TIMESTAMP, is_declared BOOLEAN")
    found = find_bots(frame, BotRules()).collect()
    by_day = {(row.user_id, f"{row.known_on:%A}"): row for row in found}
    assert len(by_day) == len(found), "one row per user and day of being known"
    return by_day


@pytest.mark.parametrize("user", people())
def test_behaviour_separates_bots_from_people(user: str, classes) -> None:
    row = classes.get((user, "Monday"))
    assert (row.bot_class if row else "human") == ("behavioural" if user in BOTS else "human")


@pytest.mark.parametrize(
    ("user", "evidence"),
    [
        ("rate", "bots-1: 600 events in one hour"),
        ("regular", "of their mean"),
        ("gaps vary by 11 s of a minute", "bots-1: gaps vary by only 0.18 of their mean"),
        ("span", "bots-1: 24 hours of one day active"),
        ("awake for 21 hours", "bots-1: 21 hours of one day active"),
        ("declared", "bots-1: the user agent names a robot"),
    ],
)
def test_the_evidence_names_the_rule(user: str, evidence: str, classes) -> None:
    assert evidence in classes[(user, "Monday")].bot_evidence


def test_a_class_is_of_one_day(classes) -> None:
    assert classes[("declared", "Monday")].bot_class == "declared"
    assert ("declared", "Tuesday") not in classes
    assert ("rate", "Tuesday") not in classes


def test_declared_bots_are_found_by_their_user_agent(frame_of) -> None:
    agents = [GOOGLEBOT, CHROME, SAFARI, None, "", "curl/8.9.1", "python-requests/2.33"]
    rows = [{"user_id": f"{number}", "user_agent": agent} for number, agent in enumerate(agents * 2)]
    found = with_declared_bots(frame_of(rows, "user_id STRING, user_agent STRING")).collect()
    assert len(found) == len(rows), "no event is lost or doubled"
    declared = {row.user_agent for row in found if row.is_declared}
    assert GOOGLEBOT in declared and not declared & {CHROME, SAFARI, None, ""}
