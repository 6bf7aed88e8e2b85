"""What explains a user's profile: its rows over time, the user's events, and the sessions that are evidence."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.analyst.release import RELEASES, Release, both, equals, is_among, newest_release, read_table
from pipeline.errors import InputError
from pipeline.warehouse.names import EVENT_KEY

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

Row = Mapping[str, Any]
EXPLAINED = 3  # interests whose evidence is shown
REASONS = {
    "declared": "a bot by its user agent",
    "behavioural": "a bot by its behaviour",
    "consent": "no consent",
}


@dataclass(frozen=True)
class SessionEvents:
    """The events of a session, as evidence for a tag: those that carry the tag, and the others, each in order."""

    with_tag: Sequence[Row]
    others: Sequence[Row]


@dataclass(frozen=True)
class UserHistory:
    """A user's data in a release.

    profiles: by as_of, oldest first. known: events that the newest profile may use, of all classes.
    sessions: those that the newest profile names as evidence of its first interests, by id. titles: by space and item.
    clusters: tags by source and item, of all versions of item clusters; they count for events without tags.
    """

    release: Release
    as_of_before: date | None  # of the release before
    profiles: Sequence[Row]
    known: Sequence[Row]
    sessions: Mapping[str, Row]
    titles: Mapping[tuple[str, str], str]
    clusters: Mapping[tuple[str, str], set[str]]

    @property
    def profile(self) -> Row:
        """The newest profile."""
        return self.profiles[-1]

    @property
    def profile_before(self) -> Row | None:
        """The newest profile of the release before; None where it had none of this user."""
        before = self.as_of_before
        rows = [row for row in self.profiles if before is not None and row["as_of"] <= before]
        return rows[-1] if rows else None

    def name_of(self, item_id: str | None) -> str:
        """Return the title of an item, or its id where it has none, or items of several spaces have."""
        titles = [title for (_, one), title in self.titles.items() if one == item_id]
        return titles[0] if len(titles) == 1 else item_id or "another item"

    def tags_of(self, event: Row) -> Collection[str]:
        """Return the tags of an event, else those of the clusters of its item."""
        return event["tags"] or self.clusters.get((event["source"], event["item_id"])) or ()

    def events_of(self, session: Row, tag: str) -> SessionEvents:
        """Return the events of a session, apart by whether they carry a tag."""
        tags = {tuple(event[name] for name in EVENT_KEY): self.tags_of(event) for event in self.known}
        events = [{**event, "source": session["source"]} for event in session["events"]]
        has_tag = [tag in tags.get(tuple(event[name] for name in EVENT_KEY), ()) for event in events]
        return SessionEvents(
            [event for event, has in zip(events, has_tag, strict=True) if has],
            [event for event, has in zip(events, has_tag, strict=True) if not has],
        )


def read_history(catalog: "Catalog", pseudonym: str) -> UserHistory:
    """Return what the newest release has of a user.

    Raises InputError, with what to check, if there is no profile of this user.
    """
    release = newest_release(catalog, None)
    own = equals("user_id", pseudonym)
    columns = (*EVENT_KEY, "known_on", "event_at", "item_id", "tags", "bot_class", "bot_evidence", "consent")
    events = read_table(catalog, release, "events", columns, own).to_pylist()
    profiles = sorted(
        read_table(catalog, release, "profiles", row_filter=own).to_pylist(), key=lambda row: row["as_of"]
    )
    if not profiles:
        raise InputError(_why_no_profile(release.as_of, events))
    newest = profiles[-1]
    known = [event for event in events if event["known_on"] <= newest["as_of"]]
    ids = {session for interest in newest["interests"][:EXPLAINED] for session in interest["evidence"]}
    found = read_table(catalog, release, "sessions", row_filter=both(own, is_among("session_id", ids))) if ids else None
    sessions = {session["session_id"]: session for session in found.to_pylist()} if found else {}
    shown = {event["item_id"] for session in sessions.values() for event in session["events"]}
    shown |= {item.get("reason_item_id") for item in newest["top_items"]}
    days = [row["as_of"] for row in read_table(catalog, release, RELEASES, ("as_of",)).to_pylist()]
    return UserHistory(
        release=release,
        as_of_before=max((day for day in days if day < release.as_of), default=None),
        profiles=profiles,
        known=known,
        sessions=sessions,
        titles=_titles(catalog, release, shown - {None}),
        clusters=_tags_of_clusters(catalog, release, {event["item_id"] for event in known} - {None}),
    )


def reason_of_item(item: Row, history: UserHistory) -> str:
    """Return in words why an item is among the top items; empty in a profile of an earlier version."""
    reason = item.get("reason")
    if reason == "interest":
        return f"interest in {item['reason_tag']}"
    if reason == "followed":
        return f"often in one session with {history.name_of(item['reason_item_id'])}"
    return {"repeat": "used before", "popular": "popular"}.get(reason or "", "")


def reason_not_counted(event: Row) -> str | None:
    """Return why an event is in no sequence, None if it is in one. The rule is that of `sessions.is_counted`."""
    if event["bot_class"] != "human":
        return REASONS.get(event["bot_class"], event["bot_class"])
    return REASONS["consent"] if event["consent"] is False else None


def not_counted(known: Sequence[Row]) -> list[tuple[date, int, str, str]]:
    """Return day, number of events, reason and evidence of the events that are in no sequence, by day."""
    left_out = [(reason, event) for event in known if (reason := reason_not_counted(event))]
    groups = Counter((event["known_on"], reason, event["bot_evidence"] or "") for reason, event in left_out)
    return [(day, count, reason, sign) for (day, reason, sign), count in sorted(groups.items())]


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


def _titles(catalog: "Catalog", release: Release, items: set[str]) -> Mapping[tuple[str, str], str]:
    columns = ("space", "item_id", "title")
    found = read_table(catalog, release, "items", columns, is_among("item_id", items)).to_pylist() if items else []
    return {(item["space"], item["item_id"]): item["title"] for item in found if item["title"]}


def _tags_of_clusters(catalog: "Catalog", release: Release, items: set[str]) -> Mapping[tuple[str, str], set[str]]:
    tags: dict[tuple[str, str], set[str]] = {}
    if items and "item_clusters" in release.tables:
        columns = ("source", "item_id", "tag")
        rows = read_table(catalog, release, "item_clusters", columns, is_among("item_id", items)).to_pylist()
        for row in rows:
            tags.setdefault((row["source"], row["item_id"]), set()).add(row["tag"])
    return tags
