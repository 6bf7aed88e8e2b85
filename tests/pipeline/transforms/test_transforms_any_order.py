"""The tables do not depend on the order of arrival and of runs : Hypothesis, through real Spark.

Each example is a log of many lives with every quirk at once, so that few examples, which are whole nights, show much.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.sources.rules import DeviceRules
from pipeline.sources.schema import Source, load_source, source_file

START = datetime(2026, 3, 27, tzinfo=UTC)
DAYS = [START.date() + timedelta(days=number) for number in range(4)]
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
EXAMPLES = settings(
    max_examples=3, deadline=None, derandomize=True, database=None,
    phases=[Phase.generate],  # shrinking an example would take many more runs
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@dataclass(frozen=True)
class History:
    """The order in which days land, and the run after each: a landed day, or a range up to it. The last day ends it."""

    landings: tuple[date, ...]
    runs: tuple[tuple[date, date], ...]


@st.composite
def histories(draw: st.DrawFn) -> History:
    landings = tuple(draw(st.permutations(DAYS)))
    runs = []
    for number in range(1, len(landings)):
        newest = max(landings[:number])
        last = draw(st.sampled_from([day for day in DAYS if day <= newest]))
        runs.append((draw(st.sampled_from([day for day in DAYS if day <= last])), last))
    return History(landings, (*runs, (DAYS[-1], DAYS[-1])))


def log_of(seed: int) -> dict[date, list[str]]:
    """Return random lines of people, devices and bots on random arrival days: early, late, copied, broken."""
    random = np.random.default_rng(seed)
    log: dict[date, list[str]] = {day: [] for day in DAYS}
    for person in range(30):
        device = f"device{person // 2}" if person % 5 == 0 else f"device{person}"
        at = START + timedelta(seconds=int(random.integers(0, 4 * 86400)))
        for number in range(int(random.integers(1, 12))):
            at += timedelta(seconds=int(random.choice([0, 60, 1799, 1800, 1801, 40_000])))
            event = {
                "id": f"e{person}-{number}",
                "user": None if random.random() < 0.4 else f"person{person}",
                "device": device,
                "created": at.isoformat(),
                "type": "page_view",
                "item": f"i{random.integers(6)}",
                "ua": BOT if person % 7 == 6 and random.random() < 0.3 else "Firefox",
            }
            for _ in range(1 + int(random.random() < 0.3)):  # copies differ in their columns
                more = {"dwell": str(random.integers(9))} if random.random() < 0.5 else {}
                consent = {"consent": str(random.random() < 0.5).lower()} if random.random() < 0.3 else {}
                log[DAYS[random.integers(len(DAYS))]].append(json.dumps({**event, **more, **consent}))
    for texts in log.values():
        texts.append('{"id": "broken')
    return log


@pytest.fixture(scope="module")
def source() -> Source:
    demo = load_source(source_file("demo"))
    return demo.model_copy(update={"devices": DeviceRules(join=True)})


@pytest.mark.slow
@given(seed=st.integers(0, 2**32), history=histories())
@EXAMPLES
def test_any_order_of_arrival_and_of_runs_gives_equal_tables(seed: int, history: History, nights_of, source) -> None:
    log = log_of(seed)
    at_once = nights_of(source).land(log).run(DAYS[0], DAYS[-1])
    piecemeal = nights_of(source)
    for day, (first, last) in zip(history.landings, history.runs, strict=True):
        piecemeal.land({day: log[day]}).run(first, last)

    for name, rows in at_once.tables.items():
        differing = [pair for pair in zip(piecemeal.tables[name], rows, strict=False) if pair[0] != pair[1]]
        assert not differing[:1] and len(piecemeal.tables[name]) == len(rows), name
    every_event_is_in_exactly_one_session(at_once.tables)
    nothing_is_lost(log, at_once.tables)


def every_event_is_in_exactly_one_session(tables: dict[str, list[dict[str, Any]]]) -> None:
    placed = Counter(event["event_id"] for session in tables["sessions"] for event in session["events"])
    assert placed == Counter(event["event_id"] for event in tables["events"])
    for session in tables["sessions"]:
        times = [event["event_at"] for event in session["events"]]
        assert all(after - before <= timedelta(minutes=30) for before, after in pairwise(times))


def nothing_is_lost(log: dict[date, list[str]], tables: dict[str, list[dict[str, Any]]]) -> None:
    lines = sum(len(texts) for texts in log.values())
    ids = {event["event_id"] for event in tables["events"]}
    assert len(ids) == len(tables["events"])
    reasons = Counter(reject["reason"] for reject in tables["rejects"])
    assert reasons["unparsable"] == len(DAYS)
    assert len(tables["events"]) + len(tables["rejects"]) < lines, "there are copies"
