"""A user's profile explained as one HTML page: interests over time, their sessions, and what changed and why.

The page needs no other file, has no script and fetches nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.analyst.release import both, equals, read_table
from pipeline.analyst.report import charts
from pipeline.analyst.report.page import template
from pipeline.analyst.user_history import (
    EXPLAINED,
    Row,
    UserHistory,
    not_counted,
    read_history,
    reason_not_counted,
    reason_of_item,
)
from pipeline.days import days_in_words
from pipeline.escape import printable
from pipeline.files import write_whole
from pipeline.settings import HORIZON_DAYS, MIN_AUDIENCE

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

PLOTTED = 5  # interests over time
EVENTS_SHOWN = 12  # of one session
VISIT_DAYS = 28


@dataclass(frozen=True)
class Change:
    """An interest then and now; None where the profile did not list it. new_events: those of its tag in between."""

    tag: str
    before: float | None
    now: float | None
    new_events: int


def write_explanation(catalog: "Catalog", pseudonym: str, folder: Path, min_audience: int = MIN_AUDIENCE) -> Path:
    """Write the page of a user, `<folder>/user-<start of the pseudonym>.html`; return its file.

    min_audience: a mean over other users is shown only of so many or more.
    Raises InputError, with what to check, if there is no profile of this user.
    """
    history = read_history(catalog, pseudonym)
    page = template("user").render(
        history=history,
        profile=history.profile,
        horizon=days_in_words(history.profile.get("horizon_days") or HORIZON_DAYS),
        interests_chart=charts.lines(_over_time(history), x="as_of", y="affinity", of="tag"),
        return_facts=_return_facts(catalog, history, min_audience),
        changes=changes(history),
        evidence=[_evidence(interest, history) for interest in history.profile["interests"][:EXPLAINED]],
        items=[(item, reason_of_item(item, history)) for item in history.profile["top_items"]],
        not_counted=not_counted(history.known),
    )
    file = folder / f"user-{pseudonym[:16]}.html"
    write_whole(file, page)
    return file


def changes(history: UserHistory) -> list[Change]:
    """Return how each interest of now or then changed since the release before, the largest change first.

    It is empty where that release had no profile of the user, or this release has no newer one.
    """
    before, now = history.profile_before, history.profile
    if before is None or before is now:
        return []
    then = {interest["tag"]: interest["affinity"] for interest in before["interests"]}
    since = {interest["tag"]: interest["affinity"] for interest in now["interests"]}
    new_events = Counter(
        tag
        for event in history.known
        if event["known_on"] > before["as_of"] and not reason_not_counted(event)
        for tag in {*history.tags_of(event)}
    )
    found = [Change(tag, then.get(tag), since.get(tag), new_events[tag]) for tag in sorted({*then, *since})]
    return sorted(found, key=lambda one: -abs((one.now or 0) - (one.before or 0)))


def _over_time(history: UserHistory) -> list[dict[str, Any]]:
    """Return a row per as-of day and tag, of the tags that lead the newest profile."""
    tags = [interest["tag"] for interest in history.profile["interests"][:PLOTTED]]
    return [
        {"as_of": str(row["as_of"]), "tag": printable(interest["tag"], 40), "affinity": interest["affinity"]}
        for row in history.profiles
        for interest in row["interests"]
        if interest["tag"] in tags
    ]


def _return_facts(catalog: "Catalog", history: UserHistory, min_audience: int) -> Mapping[str, str]:
    """Return what the return probability rests on: how often and how recently the user came, and users alike."""
    profile = history.profile
    as_of = profile["as_of"]
    visited = {event["event_at"].date() for event in history.known if not reason_not_counted(event)}
    recent = [day for day in visited if as_of - timedelta(days=VISIT_DAYS) < day <= as_of]
    away = (as_of - profile["last_event_at"].date()).days
    alike = both(equals("as_of", as_of.isoformat()), equals("cohort", profile["cohort"]))
    others = read_table(catalog, history.release, "profiles", ("return_probability",), alike).column(0).to_pylist()
    mean = f"{sum(others) / len(others):.2f} over {len(others):,} users" if len(others) >= min_audience else ""
    ago = days_in_words(away) if away else "less than a day"
    return {
        "events": f"{profile['event_count']:,}",
        "sessions": f"{profile['session_count']:,}",
        "last event": f"{profile['last_event_at']:%Y-%m-%d %H:%M} UTC, {ago} before the end of the profile's day",
        f"days with events, of {VISIT_DAYS}": f"{len(recent)}",
        f"mean of the cohort {profile['cohort']} on this day": mean or f"fewer than {min_audience}",
        "model": profile["model_version"],
    }


def _evidence(interest: Row, history: UserHistory) -> Mapping[str, Any]:
    """Return an interest and its sessions, each with its events: those that carry the tag come first."""
    tag = interest["tag"]
    return {"tag": tag, "sessions": [_session(id, tag, history) for id in interest["evidence"]]}


def _session(session_id: str, tag: str, history: UserHistory) -> Mapping[str, Any]:
    session = history.sessions.get(session_id)
    if session is None:
        return {"id": session_id, "events": []}
    events = history.events_of(session, tag)
    rows: Sequence[tuple[Row, bool]] = [
        *((event, True) for event in events.with_tag),
        *((event, False) for event in events.others),
    ]
    return {
        "id": session_id,
        "started_at": session["started_at"],
        "has_tag": bool(events.with_tag),
        "events": [
            {**event, "title": history.titles.get((event["item_space"], event["item_id"]), ""), "has_tag": has_tag}
            for event, has_tag in rows[:EVENTS_SHOWN]
        ],
        "others": max(0, len(rows) - EVENTS_SHOWN),
    }
