"""Explains a user's profile: interests, the sessions that are their evidence, and events that do not count."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.analyst.render import with_heading
from pipeline.analyst.user_history import EXPLAINED, Row, UserHistory, not_counted, read_history, reason_of_item
from pipeline.days import days_in_words
from pipeline.settings import HORIZON_DAYS

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

INTERESTS_SHOWN = 20
EVENTS_SHOWN = 8  # of one session
BAR_WIDTH = 20  # characters of a share of 1
LEVEL_BELOW = 0.005  # a smaller trend counts as none


def explain_user(catalog: "Catalog", pseudonym: str) -> RenderableType:
    """Return a user's newest profile, the sessions behind its strongest interests, and the events that do not count.

    Raises InputError, with what to check, if there is no profile of this user.
    """
    history = read_history(catalog, pseudonym)
    profile = history.profile
    horizon = days_in_words(profile.get("horizon_days") or HORIZON_DAYS)  # rows of earlier releases have none
    return Group(
        _header(profile, horizon),
        _interests_table(profile["interests"], horizon),
        *[part for interest in profile["interests"][:EXPLAINED] for part in _why(interest, history)],
        *([_items_table(profile["top_items"], history)] if profile["top_items"] else []),
        _not_counted(history.known),
    )


def bar(share: float) -> str:
    """Return a share from 0 to 1 as a bar and a number."""
    filled = round(min(max(share, 0.0), 1.0) * BAR_WIDTH)
    return f"{'█' * filled}{'░' * (BAR_WIDTH - filled)} {share:.3f}"


def arrow(trend: float) -> str:
    """Return the change of an affinity as an arrow and a number."""
    direction = "→" if abs(trend) < LEVEL_BELOW else "↑" if trend > 0 else "↓"
    return f"{direction} {trend:+.3f}"


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


def _why(interest: Row, history: UserHistory) -> list[RenderableType]:
    """Return the sessions that are the strongest evidence for an interest, each with its events."""
    tag = interest["tag"]
    if not interest["evidence"]:
        return [Text(f"{tag}: estimated from popularity; no session of this user is evidence for it")]
    parts: list[RenderableType] = [Text(f"{tag}, because of", style="bold")]
    for session_id in interest["evidence"]:
        session = history.sessions.get(session_id)
        if session is None:
            parts.append(Text(f"  session {session_id}: replaced when a late event arrived"))
        else:
            parts.append(Padding(_session(session, tag, history), (0, 0, 0, 2)))
    return parts


def _session(session: Row, tag: str, history: UserHistory) -> RenderableType:
    """Return a session: its events that carry the tag, and how many others there are."""
    events = history.events_of(session, tag)
    shown = (events.with_tag or events.others)[:EVENTS_SHOWN]
    lines = Table.grid(padding=(0, 2))
    for event in shown:
        title = history.titles.get((event["item_space"], event["item_id"]), "")
        when = f"{event['event_at']:%Y-%m-%d %H:%M:%S}"
        lines.add_row(when, Text(event["event_type"]), Text(event["item_id"] or "no item"), Text(title))
    span = f"{session['started_at']:%Y-%m-%d %H:%M} to {session['ended_at']:%Y-%m-%d %H:%M} UTC"
    head = f"session {session['session_id']}: {span}, {len(session['events']):,} events"
    warning = [] if events.with_tag else [Text(f"no event of this session carries {tag}", style="yellow")]
    others = len(session["events"]) - len(shown)
    rest = [Text(f"and {others:,} other events", style="dim")] if others else []
    return Group(Text(head), Padding(Group(*warning, lines, *rest), (0, 0, 0, 2)))


def _items_table(items: Sequence[Row], history: UserHistory) -> RenderableType:
    shown = Table("item", "title", "score", "why")
    for item in items:
        why = Text(reason_of_item(item, history))
        shown.add_row(Text(item["item_id"]), Text(item["title"] or ""), f"{item['score']:.3f}", why)
    return with_heading("Items to show next", shown)


def _not_counted(known: Sequence[Row]) -> RenderableType:
    groups = not_counted(known)
    if not groups:
        return Text("all events known by this day count")
    title = f"Not counted: {sum(one[1] for one in groups):,} of {len(known):,} events known by this day"
    shown = Table("day", "events", "why", "evidence")
    for day, count, reason, sign in groups:
        shown.add_row(str(day), f"{count:,}", Text(reason), Text(sign))
    return with_heading(title, shown)
