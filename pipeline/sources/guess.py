"""From the layout of a log to the keys of its TOML: which column is the user, the time, the item, and how sure that is.

Columns are matched by name (`vocabulary`) and tested by their values (`column_stats`). A required key for which no
column, or more than one, speaks becomes a doubt with its alternatives, never a silent choice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.sources.choices import EACH, Choice, Doubt, by_name, candidates, plain_ones, read_time
from pipeline.sources.column_stats import ColumnStats, quoted
from pipeline.sources.sniff import Layout
from pipeline.sources.times import CLOCK_OF_DAY, COMPACT_DAY, DAY, TIME_OF_DAY
from pipeline.sources.vocabulary import HTTP_METHODS, OF_THE_VISIT, USERS, meaning_of, plain_name

MOST = 0.8  # share of the values that must be as expected
MOST_TYPES = 60
MANY = 20  # lines, for a value that all of them have to be no accident
FOLDER = "array(coalesce(try_url_decode(regexp_extract({x}, '^(?:[a-z]+://[^/]+)?/([^/?.]+)(?:[/?]|$)', 1)), ''))"
STATIC = (
    "lower(split_part({x}, '?', 1)) RLIKE '[.](css|js|mjs|map|json|xml|txt|ico|png|jpe?g|gif|svg|webp|avif|bmp|xbm|"
    "woff2?|ttf|otf|eot|mp3|mp4|mpe?g|webm|wav)$'"
)


@dataclass
class Guess:
    """The keys of a TOML.

    event_types: name in the log, canonical name, weight, count, whether the word is known. unfold: the list of which
    each element is an event, if any.
    """

    layout: Layout
    columns: dict[str, Choice] = field(default_factory=dict)
    event_types: list[tuple[str, str, float, int, bool]] = field(default_factory=list)
    reject_when: dict[str, Choice] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    joins_devices: bool = False
    unfold: str = ""

    @property
    def needs_clusters(self) -> bool:
        """Whether the log names no topics but items, so that clusters of items must serve as tags."""
        return "tags" not in self.columns and "item_id" in self.columns


def guess(layout: Layout, doubts: Sequence[Doubt] = ()) -> Guess:
    """Choose the columns of a log. doubts: those that naming its columns has left."""
    made = Guess(layout, doubts=list(doubts))
    if layout.built_in:
        return made
    _choose_people(made)
    _choose_items(made)
    _choose_times(made)
    _choose_event_type(made)
    _note_what_is_hidden(made)
    for key in ("referrer", "user_agent", "dwell_seconds", "consent"):
        if found := candidates(layout.columns, key):
            cast = {"dwell_seconds": "cast({x} AS DOUBLE)", "consent": "cast({x} AS BOOLEAN)"}.get(key, "{x}")
            made.columns[key] = by_name(found[0], cast)
    for key, choice in made.columns.items():
        why = [text for name, text in layout.named_by.items() if re.search(rf"(?<![.\w]){name}\b", choice.expression)]
        made.columns[key] = Choice(choice.expression, "; ".join(why) or choice.evidence)
    first_of_key: dict[str, Doubt] = {}
    for doubt in made.doubts:
        first_of_key.setdefault(doubt.key, doubt)
    made.doubts = list(first_of_key.values())
    return made


def _elements(made: Guess) -> list[ColumnStats]:
    """Return the fields of the elements that [unfold] names `each`, as columns."""
    return [
        replace(one, path=(EACH, *one.path[1:]), in_list=False)
        for one in made.layout.columns
        if one.in_list and quoted(one.path[0]) == made.unfold
    ]


def _note_what_is_hidden(made: Guess) -> None:
    """Name ids that count as none, and objects that are written as text."""
    people = {made.columns[key].expression for key in ("user_id", "device_id") if key in made.columns}
    for column in made.layout.columns:
        if column.sql in people and column.placeholder == "0":
            made.notes.append(
                f"{column.name} is 0 or another placeholder in {column.placeholders:,} lines, which counts as no id; "
                f"if it is somebody, set placeholders = false in [identity]"
            )
        inside = [one for one in made.layout.columns if one.in_text and one.path[: one.in_text] == column.path]
        expressions = " ".join(choice.expression for choice in made.columns.values())
        if inside and not any(one.sql in expressions for one in inside):
            names = ", ".join(".".join(one.path[one.in_text :]) for one in inside[:6])
            made.notes.append(
                f"{column.name} holds JSON as text, with the fields {names}{', …' if len(inside) > 6 else ''}: "
                f"{inside[0].sql} reads the first"
            )


def _choose_people(made: Guess) -> None:
    layout = made.layout
    for tier in USERS:
        found = candidates(layout.columns, "user_id", tier)
        if len(found) > 1:
            made.doubts.append(Doubt("user_id", "several columns could be the user", [by_name(one) for one in found]))
        if found:
            break
    else:
        found = []
    if len(found) == 1:
        made.columns["user_id"] = by_name(found[0])
    devices = candidates(layout.columns, "device_id")
    addresses, agents = candidates(layout.columns, "ip"), candidates(layout.columns, "user_agent")
    addresses = [one for one in addresses if one.addresses or (one.distinct > 1 and plain_name(one.path[-1]) != "ip")]
    if devices:
        made.columns["device_id"] = by_name(devices[0])
        if found and found[0].filled < found[0].rows:
            made.joins_devices = len(found) == 1
    elif addresses and agents:
        parts = f"{addresses[0].sql}, {agents[0].sql}"
        evidence = f"no column names a device; address and browser stand for it ({addresses[0].distinct:,} addresses)"
        made.columns["device_id"] = Choice(f"concat_ws(' ', {parts})", evidence)
    elif addresses and not found:
        more = "; an address is not a person: several people may share it"
        made.columns["device_id"] = by_name(addresses[0], more=more)
    if addresses and addresses[0].share(addresses[0].addresses) >= MOST:
        made.columns["ip"] = by_name(addresses[0])
    sessions = candidates(layout.columns, "session_id")
    if sessions and sessions[0].share(sessions[0].distinct) < 1:
        made.columns["session_id"] = by_name(sessions[0])
    if not found and "device_id" not in made.columns:
        made.doubts.append(Doubt("user_id", "no column names a user or a device", _possible_ids(layout)))
    known = found[:1] + devices[:1]
    if known and max(one.filled for one in known) < MOST * known[0].rows and not addresses:
        counts = ", ".join(f"{one.name} in {one.filled:,}" for one in known)
        without = f"of {known[0].rows:,} lines few name a user or a device: {counts}"
        alternatives = [by_name(one) for one in devices[:1]] + [
            by_name(one, "concat('session ', {x})", "; a session would stand for a device") for one in sessions[:1]
        ]
        made.columns.pop("device_id", None)
        made.doubts.append(Doubt("device_id", without, alternatives))
        has_no_id = " AND ".join(f"{one.sql} IS NULL" for one in known)
        made.notes.append(
            f'lines without an id can be excluded by a rule of [reject_when], such as no_id = "{has_no_id}"'
        )


def _possible_ids(layout: Layout) -> list[Choice]:
    """Return the first columns whose values repeat and are no times, for a key that no name speaks for."""
    repeated = [one for one in layout.columns if 1 < one.distinct < one.filled and not one.times and not one.in_list]
    return [by_name(one) for one in repeated[:6]]


def _choose_times(made: Guess) -> None:
    layout = made.layout
    for key in ("received_at", "created_at", "sent_at"):
        for column in candidates(layout.columns, key):
            if (choice := read_time(column)) and isinstance(choice, Choice):
                made.columns[key] = choice
                break
    # An element has its own time where a line is a whole session or a batch; that of the line is then of the upload.
    named = [*candidates(_elements(made), "event_at"), *candidates(layout.columns, "event_at")]
    if any(read_time(one) for one in layout.columns if not one.in_text and not one.in_list):
        named = [one for one in named if not one.in_text]
    choices = [(one, read_time(one)) for one in named]
    best = next(((one, choice) for one, choice in choices if choice), None)
    if best is None:
        days = [one for one in named if _names_days(one)]
        clocks = [one for one in layout.columns if one.share(one.times.get(TIME_OF_DAY.name, 0)) >= MOST]
        if days and clocks:
            form = f", '{COMPACT_DAY} {CLOCK_OF_DAY}'" if _is_compact(days[0]) else ""
            expression = f"to_timestamp(concat({days[0].sql}, ' ', {clocks[0].sql}){form})"
            made.columns["event_at"] = Choice(
                expression, f"{days[0].name} is a day, {clocks[0].name} a time of the day"
            )
            return
        if days:
            made.doubts.append(_days_without_times(days[:1]))
            return
    if best is None and "created_at" in made.columns:
        return
    made.columns.pop("created_at", None)  # event_at is better evidence than a clock of the device
    made.columns.pop("sent_at", None)
    if best is None:
        of_times = plain_ones([one for one in layout.columns if not one.in_list and read_time(one)])
        by_value = [(one, choice) for one in of_times if (choice := read_time(one))]
        days = plain_ones([one for one in layout.columns if not one.in_list and _names_days(one)])
        if days and not by_value:
            made.doubts.append(_days_without_times(days))
            return
        if len(by_value) != 1:
            alternatives = [choice for _, choice in by_value if isinstance(choice, Choice)]
            found = "several columns hold times" if by_value else "no column holds times of a form that is known"
            made.doubts.append(Doubt("event_at", found, alternatives))
            return
        best = by_value[0]
    column, choice = best
    if isinstance(choice, Doubt):
        made.doubts.append(choice)
    elif choice:
        made.columns["event_at"] = choice


def _names_days(column: ColumnStats) -> bool:
    return column.share(column.times.get(DAY.name, 0)) >= MOST


def _is_compact(days: ColumnStats) -> bool:
    """Whether days are written as 20260131."""
    return any(value.isdigit() for value in days.top)


def _days_without_times(days: Sequence[ColumnStats]) -> Doubt:
    names = " and ".join(one.name for one in days)
    more = "; all events of a day then have one time"
    alternatives = [
        by_name(one, f"to_timestamp({{x}}, '{COMPACT_DAY}')" if _is_compact(one) else "to_timestamp({x})", more)
        for one in days
    ]
    return Doubt("event_at", f"{names} {'names' if len(days) == 1 else 'name'} days without a time", alternatives)


def _choose_items(made: Guess) -> None:
    layout = made.layout
    items, pages, urls = (candidates(layout.columns, key) for key in ("item_id", "page", "url"))
    if items and items[0].in_list:
        made.unfold = quoted(items[0].path[0])
        made.columns["item_id"] = by_name(items[0], _each(items[0]), "; one event for each element of the list")
    elif items:
        made.columns["item_id"] = by_name(items[0])
    elif pages:
        decoded = "coalesce(try_url_decode(split_part({x}, '?', 1)), split_part({x}, '?', 1))"
        made.columns["item_id"] = by_name(pages[0], decoded, "; the page is the item")
    if urls:
        made.columns["url"] = by_name(urls[0])
    topics = _topics(made, items[0].path[:-1] if items else ())
    if topics:
        made.columns["tags"] = _tags(topics[0])
    elif pages and any("/" in value for value in pages[0].top):
        made.columns["tags"] = by_name(pages[0], FOLDER, "; the first folder is the tag")
    elif "item_id" in made.columns:
        made.notes.append("no column names topics: [clusters] makes tags of items of the same sessions")
    else:
        made.doubts.append(Doubt("item_id", "no column names an item or a topic", _possible_ids(layout)))
    ids = candidates(layout.columns, "event_id")
    if ids and ids[0].filled >= 0.9 * ids[0].rows and ids[0].share(ids[0].distinct) >= 0.5:
        made.columns["event_id"] = by_name(ids[0])
    elif ids:
        made.notes.append(
            f"{ids[0].name} is not taken for an id of events: {ids[0].distinct:,} different in {ids[0].rows:,}"
        )
    order = candidates(layout.columns, "sequence")
    if order and order[0].share(order[0].integers) >= MOST:
        made.columns["sequence"] = by_name(order[0], "cast({x} AS BIGINT)")


def _topics(made: Guess, beside: tuple[str, ...]) -> list[ColumnStats]:
    """Return the columns that could be the topics, those in the object of the item first. beside: names of that object.

    One value in all lines is no topic, and neither is what describes the visit, such as the category of its device.
    """
    found = []
    for one in candidates(made.layout.columns, "tags"):
        is_elsewhere = one.in_list and quoted(one.path[0]) != made.unfold
        if is_elsewhere or OF_THE_VISIT.intersection(map(plain_name, one.path[:-1])):
            continue
        if one.distinct == 1 and one.filled >= MANY:
            made.notes.append(f"{one.name} has one value in all lines, {next(iter(one.top))}, so it is no topic")
            continue
        found.append(one)
    return sorted(found, key=lambda one: one.path[:-1] != beside)


def _tags(column: ColumnStats) -> Choice:
    if column.in_list:
        return by_name(column, f"array({_each(column)})")
    if column.is_list:
        return by_name(column)
    if column.is_mixed or any(value.startswith("[") for value in column.top):
        both = "CASE WHEN {x} LIKE '[%' THEN from_json({x}, 'ARRAY<STRING>') ELSE split({x}, ',') END"
        return by_name(column, both, ", some of them lists")
    values = sum(column.top.values())
    for separator in ("|", ";", ","):
        if sum(count for value, count in column.top.items() if separator in value) >= 0.1 * values:
            return by_name(column, f"split({{x}}, '[{separator}]')", f", with {separator} between tags")
    return by_name(column, "array({x})")


def _each(column: ColumnStats) -> str:
    """Return a field of the element that [unfold] names `each`."""
    return ".".join(["each", *(quoted(part) for part in column.path[1:])])


def _choose_event_type(made: Guess) -> None:
    named = [*candidates(_elements(made), "event_type"), *candidates(made.layout.columns, "event_type")]
    found = [one for one in named if one.distinct <= MOST_TYPES and not one.times]
    found.sort(key=lambda one: not any(value in HTTP_METHODS or meaning_of(value)[2] for value in one.top))
    if not found:
        made.columns["event_type"] = Choice("'view'", "no column says what happened: every line counts as a view")
        made.event_types = [("view", "view", 1.0, 0, True)]
        made.notes.append("no column says what happened, so every line counts as a view")
        return
    column = found[0]
    made.columns["event_type"] = by_name(column)
    if column.integers == column.filled:
        values = ", ".join(sorted(column.top))
        made.columns.pop("event_type")
        made.doubts.append(
            Doubt(
                "event_type", f"{column.name} has the numbers {values}: name them in [event_types]", [by_name(column)]
            )
        )
    is_http = set(column.top) <= HTTP_METHODS
    for value, count in column.top.items():
        if not is_http or value in ("GET", "POST"):
            made.event_types.append((value, *_meaning(value, count)))
    if is_http:
        _reject_requests(made, column)


def _meaning(value: str, count: int) -> tuple[str, float, int, bool]:
    canonical, weight, is_known = meaning_of(value)
    return canonical, weight, count, is_known


def _reject_requests(made: Guess, method: ColumnStats) -> None:
    """Exclude the requests of a web server that show no page."""
    layout = made.layout
    if status := candidates(layout.columns, "status"):
        x, top = status[0].sql, status[0].top
        errors = sum(count for value, count in top.items() if value >= "4")
        redirects = sum(count for value, count in top.items() if value in ("301", "302", "303", "307", "308"))
        made.reject_when["error"] = Choice(f"{x} >= '400'", f"{errors:,} lines")
        made.reject_when["redirect"] = Choice(
            f"{x} IN ('301', '302', '303', '307', '308')", f"{redirects:,} lines; the page behind it has its own line"
        )
    others = method.filled - sum(method.top.get(name, 0) for name in ("GET", "POST"))
    made.reject_when["other_method"] = Choice(f"{method.sql} NOT IN ('GET', 'POST')", f"{others:,} lines")
    if pages := candidates(layout.columns, "page"):
        made.reject_when["static_asset"] = Choice(STATIC.replace("{x}", pages[0].sql), "files that a page loads")


def used_columns(made: Guess) -> list[ColumnStats]:
    """Return the columns that occur in an expression of the guess, or in an alternative of a doubt."""
    texts = [choice.expression for choice in [*made.columns.values(), *made.reject_when.values()]]
    texts += [one.expression for doubt in made.doubts for one in doubt.alternatives]
    text = " ".join(texts)
    return [column for column in made.layout.columns if re.search(rf"(?<!\w){re.escape(column.sql)}(?!\w)", text)]
