"""The web events of Snowplow: our sessions compared with those of Snowplow's own model.

What theirs count, from `expected/snowplow_web_sessions_expected.csv`:
- A session is what their tracker's cookie calls one, `domain_sessionid`; a session goes on for three days at most.
- Its start and end are the first and last `derived_tstamp`; one that begins by a ping starts 5 seconds before it.
- `total_events`: events of different `event_id`. `page_views`: different page view ids of views and pings.
"""

import csv
import hmac
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.sources.rules import SessionRules
from pipeline.sources.schema import Source, load_source, source_file
from pipeline.transforms.sessions import Rules, is_counted, sessionize, sessions_of

KEY = b"key"  # of the pseudonyms of `cleaned_log`
BEFORE_A_PING = timedelta(seconds=5)
PAGE_VIEW_ID = "get_json_object(contexts_com_snowplowanalytics_snowplow_web_page_1_0_0, '$[0].id')"

# The first characters of each `domain_sessionid` that differs from our sessions, and the rule that explains it.
DIFFERENT = {"2bfc2c": "10 days without a silence of 3: theirs ends after 3 days, ours is cut at every midnight"}
OF_A_PING_ALONE = {"0b0c7b...d", "0b0c7b...e", "0b5d42...8"}
WITHOUT_PAGE = "no page view with an id: theirs need one"
TOO_LATE = "sent more than 3 days after it was made: theirs drop it, for ours no event is too late"
BEGUN_ANEW = "more than 3 days after its session began: theirs drop it, ours begin another"
NOT_THEIRS = {WITHOUT_PAGE: 27, TOO_LATE: 1, BEGUN_ANEW: 1}


@dataclass(frozen=True)
class Counted:
    """The compared values of a session."""

    start: datetime
    end: datetime
    events: int
    page_views: int


def theirs(folder: Path) -> dict[str, Counted]:
    """Return the expected sessions by `domain_sessionid`."""

    def utc(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    with (folder / "expected" / "snowplow_web_sessions_expected.csv").open(encoding="utf-8", newline="") as lines:
        return {
            row["domain_sessionid"]: Counted(
                utc(row["start_tstamp"]), utc(row["end_tstamp"]), int(row["total_events"]), int(row["page_views"])
            )
            for row in csv.DictReader(lines)
        }


def raw_events(folder: Path) -> Iterator[dict[str, str]]:
    with (folder / "source" / "snowplow_web_events.csv").open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def sessions_by(source: Source, events: DataFrame) -> list[Any]:
    """Return our sessions by the rules of the source, in the order of their start."""
    rules = Rules.of({source.name: source})
    counted = events.withColumn("is_counted", is_counted())
    sessions = sessions_of(sessionize(counted, rules), rules, F.lit("2021-03-14").cast("date"))
    return sessions.orderBy("started_at", "user_id").collect()


def counted_like_theirs(session: Any) -> Counted:
    first = session.events[0]
    start = session.started_at.astimezone(UTC) - (BEFORE_A_PING if first.event_type == "ping" else timedelta(0))
    page_views = {event.item_id for event in session.events if event.event_type in ("view", "ping")} - {None}
    return Counted(start, session.ended_at.astimezone(UTC), session.event_count, len(page_views))


def short(session_id: str) -> str:
    return f"{session_id[:6]}...{session_id[63]}"


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_17_of_18_sessions_are_theirs_when_a_session_is_what_their_cookie_calls_one(
    real_data: Path, cleaned_log
) -> None:
    folder = real_data / "snowplow-web"
    built_in = load_source(source_file("snowplow-web"))
    columns = {"user_id": "domain_sessionid", "device_id": None, "item_id": PAGE_VIEW_ID}
    three_days = SessionRules(inactivity_gap_minutes=72 * 60, cap_hours=72)
    source = built_in.model_copy(
        update={"columns": built_in.columns.model_copy(update=columns), "sessions": three_days}
    )
    log = cleaned_log(source, folder / "source" / "snowplow_web_events.csv")
    assert log.counts == {"accepted": 156, "duplicates": 3, "missing_user": 1}

    space = f"{source.user_space}\x1f"
    ids = {
        hmac.digest(KEY, f"{space}{row['domain_sessionid']}".encode(), "sha256").hex(): row
        for row in raw_events(folder)
    }
    ours: dict[str, list[Counted]] = defaultdict(list)
    ours_raw: dict[str, datetime] = {}
    for session in sessions_by(source, log.cleaned.events):
        one = ids[session.user_id]["domain_sessionid"]
        ours[one].append(counted_like_theirs(session))
        ours_raw.setdefault(one, session.started_at.astimezone(UTC))
    expected = theirs(folder)
    assert len(expected) == 18
    different = {one for one, counted in expected.items() if counted not in ours[one]}
    assert {one[:6] for one in different} == set(DIFFERENT)
    (long,) = different
    assert [len({one.start.date(), one.end.date()}) for one in ours[long]] == [1] * 11, "a session per day"
    assert sum(one.events for one in ours[long]) == 11, "no event of it is missing"

    # Raw, three more differ in their start: a session of a single ping, which theirs begins 5 seconds before it.
    assert {short(one) for one, counted in expected.items() if ours[one][0].start < ours_raw[one]} == OF_A_PING_ALONE

    by_rule = dict.fromkeys(NOT_THEIRS, 0)
    late = {row["domain_sessionid"] for row in ids.values() if row["user_id"].startswith("late arriving")}
    for one, sessions in ours.items():
        for counted in sessions:
            if one in different or counted == expected.get(one):
                continue
            if one in expected:
                assert counted.start - expected[one].start > timedelta(days=3)
            elif one not in late:
                assert counted.page_views == 0
            by_rule[BEGUN_ANEW if one in expected else TOO_LATE if one in late else WITHOUT_PAGE] += 1
    assert by_rule == NOT_THEIRS


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_by_the_rules_for_people_10_of_18_are_theirs(real_data: Path, cleaned_log) -> None:
    """The built-in source: a user's run of events without a gap of 30 minutes, whatever its cookie."""
    folder = real_data / "snowplow-web"
    source = load_source(source_file("snowplow-web"))
    log = cleaned_log(source, folder / "source" / "snowplow_web_events.csv")
    assert log.counts == {"accepted": 157, "duplicates": 3}
    ours = [counted_like_theirs(session) for session in sessions_by(source, log.cleaned.events)]
    times = {(one.start, one.end, one.events) for one in ours}
    different = {
        one[:6] for one, session in theirs(folder).items() if (session.start, session.end, session.events) not in times
    }
    assert different == {
        *("2bfc2c", "540b6c"),  # a gap of a day
        *("cde5b9", "93c111", "df2bf4", "6f19f1"),  # simultaneous sessions of two cookies of one user are one
        *("37b340", "79831f"),  # the log has another user id at every event
    }
