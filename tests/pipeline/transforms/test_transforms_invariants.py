"""The rules of sessions and sequences as invariants on random events, all in a few Spark jobs."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pyspark.sql import functions as F

from pipeline.transforms.device_stitching import device_owners, device_users, moved_devices, owned
from pipeline.transforms.incremental_sessions import affected_sessions, changed_by, events_to_sessionize
from pipeline.transforms.sequences import sequences
from pipeline.transforms.sessions import Rules, sessionize, sessions_of

USERS = 150
START = datetime(2026, 3, 24, tzinfo=UTC)  # the clocks of Berlin change within the week
DAYS = 8
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000  # microseconds
SOURCES: dict[str, dict[str, Any]] = {
    "usual": {},
    "long_runs": {"time_zone": "Europe/Berlin", "sessions": {"inactivity_gap_minutes": 400}},
    "no_cap": {"sessions": {"inactivity_gap_minutes": 400, "cap_hours": 0}},
    "days": {"time_zone": "Asia/Shanghai", "sessions": {"day_split": True}},
    "only_days": {"time_zone": "America/New_York", "sessions": {"inactivity_gap_minutes": 0, "day_split": True}},
    "only_cap": {"time_zone": "Asia/Kathmandu", "sessions": {"inactivity_gap_minutes": 0}},
}
GAPS = np.array([0, 1, MINUTE, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1, 2 * HOUR, 400 * MINUTE, 400 * MINUTE + 1])
EVENTS = """
    source STRING, user_id STRING, event_id STRING, micros BIGINT, arrival_day DATE, known_on DATE, last_copy_on DATE,
    file STRING, line BIGINT, is_counted BOOLEAN, event_type STRING, weight DOUBLE, item_id STRING, tags ARRAY<STRING>,
    variant STRING, device_id STRING, bot_class STRING, consent BOOLEAN, refused_on DATE,
    part INT, sequence BIGINT, session_key STRING, item_space STRING
"""


@dataclass(frozen=True)
class Event:
    """A random event; times in microseconds since START."""

    source: str
    user: str
    id: str
    at: int
    arrived: int  # days since START
    line: int
    is_counted: bool = True
    item: str | None = None
    variant: str = ""
    copied: int = 0  # days since START; before `arrived` there is no copy
    device: str | None = None

    @property
    def known(self) -> int:
        return max(self.arrived, self.at // DAY)

    @property
    def owner(self) -> tuple[Any, ...]:
        return (self.variant, self.source, self.user, self.is_counted)

    @property
    def order(self) -> tuple[Any, ...]:
        return (self.at, self.arrived, self.line)

    def row(self) -> dict[str, Any]:
        def day(number: int) -> Any:
            return START.date() + timedelta(days=number)

        return {
            "source": self.source, "user_id": self.user, "event_id": self.id, "is_counted": self.is_counted,
            "micros": int(START.timestamp()) * 1_000_000 + self.at, "arrival_day": day(self.arrived),
            "known_on": day(self.known), "last_copy_on": day(max(self.arrived, self.copied)), "file": "log",
            "part": 1, "item_space": self.source,
            "line": self.line, "event_type": "view", "weight": 1.0, "item_id": self.item, "tags": [self.item or "none"],
            "variant": self.variant, "device_id": self.device,
            "bot_class": "human" if self.is_counted else "behavioural",
        }  # fmt: skip


def random_events(seed: int) -> list[Event]:
    """Return random events of users of each source: bursts, pauses, ties, gaps at the threshold, late arrivals."""
    random = np.random.default_rng(seed)
    events: list[Event] = []
    for number in range(USERS):
        source = list(SOURCES)[number % len(SOURCES)]
        at = int(random.integers(0, DAY))
        for _ in range(int(random.integers(1, 40))):
            at += int(random.choice(GAPS) if random.random() < 0.8 else random.integers(0, 2 * DAY))
            if at >= DAYS * DAY:
                break
            late = int(random.integers(-1, 4)) if random.random() < 0.2 else 0  # or a day early: a clock ahead
            events.append(
                Event(
                    source, f"user{number}", f"{random.integers(1 << 60):x}", at,
                    min(max(at // DAY + late, 0), DAYS - 1), len(events), bool(random.random() < 0.9),
                    f"i{random.integers(9)}" if random.random() < 0.9 else None,
                )
            )  # fmt: skip
    return events


@pytest.fixture(scope="module")
def rules(rules_by_source) -> Rules:
    return rules_by_source(SOURCES)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return random_events(seed=5)


@pytest.fixture(scope="module")
def frame(frame_of):
    def make(events: list[Event]):
        rows = frame_of([event.row() for event in events], EVENTS)
        return rows.withColumn("event_at", F.timestamp_micros("micros")).drop("micros")

    return make


@pytest.fixture(scope="module")
def late_ones(events) -> dict[str, Event]:
    """One late event per user, anywhere in the log."""
    random = np.random.default_rng(6)
    first = {event.user: event for event in reversed(events)}
    return {
        user: replace(
            event,
            id=f"late{user}",
            at=int(random.integers(0, DAYS * DAY)),
            arrived=DAYS - 1,
            is_counted=True,
            line=10**6,
        )
        for user, event in first.items()
    }


@pytest.fixture(scope="module")
def cut(events, late_ones, frame, rules) -> dict[str, dict[tuple[str, str], Any]]:
    """Sessions of three variants of the log, from one job: unchanged, shuffled, and with the late events."""
    shuffled = [events[place] for place in np.random.default_rng(7).permutation(len(events))]
    variants = {"as_is": events, "shuffled": shuffled, "with_late": [*events, *late_ones.values()]}
    together = [replace(event, variant=name) for name, some in variants.items() for event in some]
    rows = sessionize(frame(together), rules, per=("variant",))
    found: dict[str, dict[tuple[str, str], Any]] = {name: {} for name in variants}
    columns = ("variant", "user_id", "event_id", "session_id", "session_started_at", "run_started_at", "split_reason")
    collected = rows.select(*columns).collect()
    for row in collected:
        found[row.variant][(row.user_id, row.event_id)] = row
    assert len(collected) == len(together), "every event is in exactly one session"
    assert {name: len(rows) for name, rows in found.items()} == {name: len(some) for name, some in variants.items()}
    return found


def lives_of(events: list[Event]) -> dict[tuple[Any, ...], list[Event]]:
    lives = defaultdict(list)
    for event in sorted(events, key=lambda event: event.order):
        lives[event.owner].append(event)
    return lives


def gap_of(source: str) -> float:
    return SOURCES[source].get("sessions", {}).get("inactivity_gap_minutes", 30) * MINUTE or float("inf")


def runs_of(life: list[Event]) -> list[list[Event]]:
    """Split the events of an owner at gaps, by a plain loop."""
    runs = [[life[0]]]
    for before, after in pairwise(life):
        if after.at - before.at > gap_of(after.source):
            runs.append([])
        runs[-1].append(after)
    return runs


def local_day(event: Event) -> Any:
    zone = ZoneInfo(SOURCES[event.source].get("time_zone", "UTC"))
    return (START + timedelta(microseconds=event.at)).astimezone(zone).date()


def test_neighbours_share_a_session_exactly_if_the_rules_allow(events, cut) -> None:
    for (_, source, *_), life in lives_of(events).items():
        session_rules = SOURCES[source].get("sessions", {})
        cap = session_rules.get("cap_hours", 24) * HOUR or float("inf")
        sessions = [cut["as_is"][(event.user, event.id)] for event in life]
        place = 0
        for run in runs_of(life):
            is_cut_by_day = session_rules.get("day_split", False) or run[-1].at - run[0].at > cap
            for before, after in zip([None, *run], run, strict=False):
                here = sessions[place]
                if before is None:
                    assert here.split_reason == "gap"
                    assert place == 0 or here.session_id != sessions[place - 1].session_id
                else:
                    is_split = is_cut_by_day and local_day(before) != local_day(after)
                    assert (here.session_id != sessions[place - 1].session_id) == is_split, (before, after)
                    assert not is_split or here.split_reason == (
                        "day" if session_rules.get("day_split") else "midnight"
                    )
                place += 1
        assert len({one.session_id for one in sessions}) == 1 + sum(
            before.session_id != after.session_id for before, after in pairwise(sessions)
        ), "a session that was left is not entered again"


def test_the_order_of_rows_does_not_matter(cut) -> None:
    as_is, shuffled = (
        {
            key: (row.session_id, row.session_started_at, row.run_started_at, row.split_reason)
            for key, row in some.items()
        }
        for some in (cut["as_is"], cut["shuffled"])
    )
    assert as_is == shuffled


def test_a_late_event_changes_no_ids_of_other_runs(events, late_ones, cut) -> None:
    left_alone = 0
    for (_, source, user, is_counted), life in lives_of(events).items():
        late = late_ones[user]
        for run in runs_of(life):
            is_reached = run[0].at - gap_of(source) <= late.at <= run[-1].at + gap_of(source)
            if is_counted and is_reached:
                continue
            for event in run:
                key = (user, event.id)
                assert cut["with_late"][key].session_id == cut["as_is"][key].session_id
                left_alone += 1
    assert left_alone > 500


def test_events_known_later_change_no_sequence(events, frame, rules) -> None:
    day, random = 4, np.random.default_rng(8)
    altered = []
    for event in events:
        if event.known <= day:
            altered.append(replace(event, variant="altered"))
        elif random.random() < 0.7:
            # Any change is allowed: another time (also earlier), another item, no consent.
            at = int(random.integers(0, DAYS * DAY))
            altered.append(
                replace(
                    event, variant="altered", at=at, arrived=max(event.arrived, day + 1), item="other", is_counted=True
                )
            )
    both = [*(replace(event, variant="as_is") for event in events), *altered]
    rows = frame([replace(event, user=f"{event.variant}-{event.user}") for event in both])
    no_owners = device_owners(rows, {})
    made = sequences(rows, no_owners, [START.date() + timedelta(days=day)], rules, length=12).collect()

    by_variant: dict[str, dict[str, Any]] = {"as_is": {}, "altered": {}}
    for row in made:
        variant, _, user = row.user_id.partition("-")
        sessions = list(dict.fromkeys(row.session_id))
        by_variant[variant][user] = (
            row.item, row.tags, row.event_at, [sessions.index(one) for one in row.session_id], row.event_count,
            row.first_event_at, row.last_event_at,
        )  # fmt: skip
    assert by_variant["as_is"] == by_variant["altered"]

    # And each row equals the newest counted known events, computed by a plain loop.
    news = {event.user for event in events if event.is_counted and event.known == day}
    assert set(by_variant["as_is"]) == news and len(news) > 20
    for user in news:
        known = [event for event in events if event.user == user and event.is_counted and event.known <= day]
        newest = sorted(known, key=lambda event: event.order)[-12:]
        assert by_variant["as_is"][user][1] == [[event.item or "none"] for event in newest]
        assert by_variant["as_is"][user][4] == len(known)


def test_incremental_sessions_equal_sessions_computed_from_all_events(frame, rules, spark) -> None:
    """Two runs: kept and new sessions of the second equal the sessions of one pass over all events."""
    everything = random_events(seed=1)
    split = DAYS // 2  # the second run has the arrival days from here on
    random = np.random.default_rng(2)
    before, after = [], []
    for event in everything:
        # A class may change on a day that the run cleans; a copy may bring a refusal of consent.
        is_reclassed = event.known >= split and random.random() < 0.5
        is_refused = random.random() < 0.03
        if event.arrived < split:
            before.append(event)
            event = replace(event, is_counted=not event.is_counted) if is_reclassed else event
            event = replace(event, is_counted=False, copied=split) if is_refused else event
        after.append(event)
    cleaned = [START.date() + timedelta(days=number) for number in range(split, DAYS)]
    first_newest, newest = (F.lit(day).cast("date") for day in (cleaned[0] - timedelta(days=1), cleaned[-1]))
    events, events_before = frame(after).persist(), frame(before).persist()

    def full(rows, newest_day):
        return sessions_of(sessionize(rows, rules), rules, newest_day)

    had = full(events_before, first_newest).collect()
    schema = full(events_before, first_newest).schema
    sessions = spark.createDataFrame(had, schema).persist()
    changed = changed_by(events, events_before, cleaned)
    affected = affected_sessions(sessions, changed, rules).persist()
    made = sessions_of(sessionize(events_to_sessionize(affected, changed), rules), rules, newest).collect()
    wanted = {row.session_id: row for row in full(events, newest).collect()}
    gone = {row.session_id for row in affected.collect()}
    for one in (events, events_before, sessions, affected):
        one.unpersist()

    found = {row.session_id: row for row in had if row.session_id not in gone}
    assert 50 < len(found) < len(had) - 50, "some sessions are left alone, and some are not"
    assert not set(found) & {row.session_id for row in made}
    found |= {row.session_id: row for row in made}
    assert set(found) == set(wanted)
    assert [key for key in wanted if found[key] != wanted[key]] == []


def test_incremental_log_ins_equal_one_pass_over_all_events(frame, rules, spark) -> None:
    """Day by day, with devices whose events before log-in belong to their one user, and with shared devices."""
    random = np.random.default_rng(9)
    first_log_in = random.integers(0, DAYS, USERS)
    events = []
    for event in random_events(seed=3):
        # Every fourth device is shared by two users.
        number = int(event.user[4:])
        home = number - len(SOURCES) if number % 4 == 0 and number >= len(SOURCES) else number
        device = f"device{home}-{event.source}"
        is_logged_in = event.at // DAY >= first_log_in[number] and random.random() < 0.7
        user = event.user if is_logged_in else device
        events.append(replace(event, user=user, device=device, is_counted=True))
    shares = dict.fromkeys(SOURCES, 1)
    everything = frame(events).persist()
    states = []
    for number in (3, 5, DAYS - 1):
        day = F.lit(START.date() + timedelta(days=number)).cast("date")
        landed = everything.where(F.col("arrival_day") <= day)
        owners = device_owners(device_users(landed, shares), shares).localCheckpoint()
        states.append((number, day, owned(landed, owners, day), owners))

    sessions = sessions_of(sessionize(states[0][2], rules), rules, states[0][1]).localCheckpoint()
    moves = 0
    for (first, day_before, before, owners_before), (last, day, now, owners) in pairwise(states):
        moved = moved_devices(owners, owners_before, day, day_before).localCheckpoint()
        moves += moved.count()
        cleaned = [START.date() + timedelta(days=number) for number in range(first + 1, last + 1)]
        changed = changed_by(now, before, cleaned, moved)
        affected = affected_sessions(sessions, changed, rules).localCheckpoint()
        made = sessions_of(sessionize(events_to_sessionize(affected, changed), rules), rules, day)
        kept = sessions.join(affected, "session_id", "left_anti")
        sessions = kept.select(*made.columns).unionByName(made).localCheckpoint()
    wanted = {row.session_id: row for row in sessions_of(sessionize(now, rules), rules, day).collect()}
    found = sessions.collect()
    everything.unpersist()

    assert moves > 20
    assert len(found) == len(wanted) > 500
    assert [row for row in found if wanted[row.session_id] != row] == []
    owned_by_users = sum(row.user_id.startswith("user") for row in found)
    assert 100 < owned_by_users < len(found) - 100
