"""Explains a user's profile: interests, the sessions that are their evidence, and events that do not count."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.analyst.filters import both, equals, is_among
from pipeline.analyst.release import Release, newest_release, read_table
from pipeline.analyst.render import with_heading
from pipeline.days import days_in_words
from pipeline.errors import InputError
from pipeline.settings import HORIZON_DAYS
from pipeline.warehouse.names import EVENT_KEY

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

Row = Mapping[str, Any]
EXPLAINED = 3  # interests whose evidence is shown
INTERESTS_SHOWN = 20
EVENTS_SHOWN = 8  # of one session
BAR_WIDTH = 20  # characters of a share of 1
LEVEL_BELOW = 0.005  # a smaller trend counts as none
REASONS = {
    "declared": "a bot by its user agent",
    "behavioural": "a bot by its behaviour",
    "consent": "no consent",
}


@dataclass(frozen=True)
class Evidence:
    """A user's data as of the profile's day: sessions by id, tags by key of the event, titles by item.

    clusters: tags by source and item, of all versions of item clusters; they count for events without tags.
    """

    sessions: Mapping[str, Row]
    tags: Mapping[tuple[Any, ...], Sequence[str]]
    titles: Mapping[tuple[str, str], str]
    clusters: Mapping[tuple[str, str], set[str]]


def explain_user(catalog: "Catalog", pseudonym: str) -> RenderableType:
    """Return a user's newest profile, the sessions behind its strongest interests, and the events that do not count.

    Raises InputError, with what to check, if there is no profile of this user.
    """
    release = newest_release(catalog, None)
    own = equals("user_id", pseudonym)
    profiles = read_table(catalog, release, "profiles", row_filter=own).to_pylist()
    columns = (*EVENT_KEY, "known_on", "tags", "bot_class", "bot_evidence", "consent")
    events = read_table(catalog, release, "events", columns, own).to_pylist()
    if not profiles:
        raise InputError(_why_no_profile(release.as_of, events))
    profile = max(profiles, key=lambda row: row["as_of"])
    known = [event for event in events if event["known_on"] <= profile["as_of"]]
    evidence = _evidence(catalog, release, pseudonym, profile, known)
    horizon = days_in_words(profile.get("horizon_days") or HORIZON_DAYS)  # rows of earlier releases have none
    return Group(
        _header(profile, horizon),
        _interests_table(profile["interests"], horizon),
        *[part for interest in profile["interests"][:EXPLAINED] for part in _why(interest, evidence)],
        *([_items_table(profile["top_items"])] if profile["top_items"] else []),
        _not_counted(known),
    )


def reason_not_counted(event: Row) -> str | None:
    """Return why an event is in no sequence, None if it is in one. The rule is that of `sessions.is_counted`."""
    if event["bot_class"] != "human":
        return REASONS.get(event["bot_class"], event["bot_class"])
    return REASONS["consent"] if event["consent"] is False else None


def bar(share: float) -> str:
    """Return a share from 0 to 1 as a bar and a number."""
    filled = round(min(max(share, 0.0), 1.0) * BAR_WIDTH)
    return f"{'█' * filled}{'░' * (BAR_WIDTH - filled)} {share:.3f}"


def arrow(trend: float) -> str:
    """Return the change of an affinity as an arrow and a number."""
    direction = "→" if abs(trend) < LEVEL_BELOW else "↑" if trend > 0 else "↓"
    return f"{direction} {trend:+.3f}"


def _why_no_profile(as_of: date, events: Sequence[Row]) -> str:
    if not events:
        return (
            f"no such user in the release of {as_of}: the id was hashed under this installation's key, so check its "
            f"spelling, that it is the id as the source has it, and that THROUGHLINE_HOME holds these data"
        )
    reasons = Counter(reason_not_counted(event) or "counted" for event in events)
    parts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
    message = f"this user has {len(events):,} events but no profile in the release of {as_of}: {parts}"
    return f"{message}; only counted events make a profile"


def _evidence(catalog: "Catalog", release: Release, pseudonym: str, profile: Row, known: Sequence[Row]) -> Evidence:
    ids = {session for interest in profile["interests"][:EXPLAINED] for session in interest["evidence"]}
    of_user = both(equals("user_id", pseudonym), is_among("session_id", ids))
    sessions = read_table(catalog, release, "sessions", row_filter=of_user).to_pylist() if ids else []
    items = {event["item_id"] for session in sessions for event in session["events"] if event["item_id"] is not None}
    columns = ("space", "item_id", "title")
    titled = read_table(catalog, release, "items", columns, is_among("item_id", items)).to_pylist() if items else []
    return Evidence(
        sessions={session["session_id"]: session for session in sessions},
        tags={tuple(event[name] for name in EVENT_KEY): event["tags"] for event in known},
        titles={(item["space"], item["item_id"]): item["title"] for item in titled if item["title"]},
        clusters=_tags_of_clusters(catalog, release, items),
    )


def _tags_of_clusters(catalog: "Catalog", release: Release, items: set[str]) -> Mapping[tuple[str, str], set[str]]:
    tags: dict[tuple[str, str], set[str]] = {}
    if items and "item_clusters" in release.tables:
        columns = ("source", "item_id", "tag")
        rows = read_table(catalog, release, "item_clusters", columns, is_among("item_id", items)).to_pylist()
        for row in rows:
            tags.setdefault((row["source"], row["item_id"]), set()).add(row["tag"])
    return tags


def _header(profile: Row, horizon: str) -> RenderableType:
    shown = Table.grid(padding=(0, 2))
    facts = {
        "user": profile["user_id"],
        "as of": str(profile["as_of"]),
        "cohort": f"{profile['cohort']} sessions",
        "events": f"{profile['event_count']:,}",
        "sessions": f"{profile['session_count']:,}",
        "last event": f"{profile['last_event_at']:%Y-%m-%d %H:%M:%S} UTC",
        f"returns within {horizon}": bar(profile["return_probability"]),
        "model": profile["model_version"],
    }
    for name, value in facts.items():
        shown.add_row(Text(name, style="bold"), Text(value))
    return shown


def _interests_table(interests: Sequence[Row], horizon: str) -> RenderableType:
    if not interests:
        return Text("no interests: none of the events that count has a tag")
    shown = Table("rank", "tag", f"probability within {horizon}", f"change in {horizon}", "")
    for interest in interests[:INTERESTS_SHOWN]:
        is_new = "new" if interest["is_new"] else ""
        number = str(interest["rank"])
        shown.add_row(number, Text(interest["tag"]), bar(interest["affinity"]), arrow(interest["trend"]), is_new)
    if len(interests) > INTERESTS_SHOWN:
        shown.caption = f"the first {INTERESTS_SHOWN} of {len(interests)}; all: SELECT * FROM user_interests"
    return with_heading("Interests", shown)


def _why(interest: Row, evidence: Evidence) -> list[RenderableType]:
    """Return the sessions that are the strongest evidence for an interest, each with its events."""
    tag = interest["tag"]
    if not interest["evidence"]:
        return [Text(f"{tag}: estimated from popularity; no session of this user is evidence for it")]
    parts: list[RenderableType] = [Text(f"{tag}, because of", style="bold")]
    for session_id in interest["evidence"]:
        session = evidence.sessions.get(session_id)
        if session is None:
            parts.append(Text(f"  session {session_id}: replaced when a late event arrived"))
        else:
            parts.append(Padding(_session(session, tag, evidence), (0, 0, 0, 2)))
    return parts


def _session(session: Row, tag: str, evidence: Evidence) -> RenderableType:
    events = session["events"]
    source = session["source"]
    keys = [tuple({**event, "source": source}[name] for name in EVENT_KEY) for event in events]
    tags: list[Collection[str]] = [
        evidence.tags.get(key) or evidence.clusters.get((source, event["item_id"])) or ()
        for event, key in zip(events, keys, strict=True)
    ]
    touching = [event for event, own in zip(events, tags, strict=True) if tag in own]
    shown = (touching or events)[:EVENTS_SHOWN]
    started, ended = session["started_at"], session["ended_at"]
    lines = Table.grid(padding=(0, 2))
    for event in shown:
        title = evidence.titles.get((event["item_space"], event["item_id"]), "")
        when = f"{event['event_at']:%Y-%m-%d %H:%M:%S}"
        lines.add_row(when, Text(event["event_type"]), Text(event["item_id"] or "no item"), Text(title))
    others = len(events) - len(shown)
    span = f"{started:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC"
    head = f"session {session['session_id']}: {span}, {len(events):,} events"
    rest = [Text(f"and {others:,} other events", style="dim")] if others else []
    return Group(Text(head), Padding(Group(lines, *rest), (0, 0, 0, 2)))


def _items_table(items: Sequence[Row]) -> RenderableType:
    shown = Table("item", "title", "score")
    for item in items:
        shown.add_row(Text(item["item_id"]), Text(item["title"] or ""), f"{item['score']:.3f}")
    return with_heading("Items to show next", shown)


def _not_counted(known: Sequence[Row]) -> RenderableType:
    left_out = [(reason, event) for event in known if (reason := reason_not_counted(event))]
    if not left_out:
        return Text("all events known by this day count")
    groups = Counter((event["known_on"], reason, event["bot_evidence"] or "") for reason, event in left_out)
    title = f"Not counted: {len(left_out):,} of {len(known):,} events known by this day"
    shown = Table("day", "events", "why", "evidence")
    for (day, reason, sign), count in sorted(groups.items()):
        shown.add_row(str(day), f"{count:,}", Text(reason), Text(sign))
    return with_heading(title, shown)
