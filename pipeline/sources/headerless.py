"""Names for the columns of a log without a header line, by their values.

A column gets a name only if its values decide it: times by their form, event types by known words, users and items by
prefixes such as u-17 and sku-4711, or by the category that each item has whoever sees it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations

from pipeline.sources.choices import Choice, Doubt, read_time
from pipeline.sources.column_stats import ColumnStats
from pipeline.sources.sniff import Layout
from pipeline.sources.times import AMBIGUOUS
from pipeline.sources.vocabulary import HTTP_METHODS, ITEM_PREFIX, USER_PREFIX, meaning_of

MOST = 0.9
Take = Callable[[int, str, str], None]
LEAST_ITEMS = 10  # items that several users have seen, for a rule about them to count


def name_columns(layout: Layout) -> tuple[Layout, list[Doubt]]:
    """Name the columns user, item, category, type and time by their values; return also what these do not decide."""
    columns = [one for one in layout.columns if not one.in_text]
    names: dict[int, str] = {}
    evidence: dict[str, str] = {}

    def take(position: int, name: str, why: str) -> None:
        names[position] = name
        evidence[name] = f"column {position + 1} is the {name}: {why}"

    times = [number for number, column in enumerate(columns) if isinstance(read_time(column), Choice)]
    times = [number for number in times if columns[number].share(sum(columns[number].times.values())) >= MOST]
    if len(times) == 1:
        [at] = times
        forms = ", ".join(f"{count:,} {form}" for form, count in columns[at].times.items())
        why = f"{forms} of {columns[at].filled:,} values"
        choice = read_time(columns[at])
        if AMBIGUOUS.name in columns[at].times and isinstance(choice, Choice):
            why = choice.evidence.removeprefix(f"{columns[at].name}: ")
        take(at, "time", why)
    types = [number for number, column in enumerate(columns) if number not in names and _known_types(column) >= MOST]
    if len(types) == 1:
        values = ", ".join(f"{value} {count:,}" for value, count in list(columns[types[0]].top.items())[:6])
        take(types[0], "type", f"its words are known event types: {values}")
    left = [
        number
        for number, column in enumerate(columns)
        if number not in names and column.filled and not column.holds_objects
    ]
    words = [number for number in left if columns[number].share(columns[number].words) >= MOST]
    ids = [number for number in left if number not in words and number not in times]
    if len(words) == 1 and columns[words[0]].distinct < columns[words[0]].filled:
        take(words[0], "category", f"{columns[words[0]].distinct:,} different words without digits")
    _name_by_prefix(columns, ids, take)
    unnamed = [number for number in ids if number not in names]
    if len(unnamed) == 3 and not {"user", "item"} & set(names.values()):
        _name_by_category(layout, unnamed, take)
    doubts = _doubts(columns, names, ids, take)
    name_of = {column.name: names.get(number, column.name) for number, column in enumerate(columns)}
    named = [replace(column, path=(name_of[column.path[0]], *column.path[1:])) for column in layout.columns]
    # Fields of objects have names, which `guess` looks at.
    return replace(layout, columns=named, named_by=evidence), [] if len(named) > len(columns) else doubts


def _known_types(column: ColumnStats) -> float:
    known = [count for value, count in column.top.items() if meaning_of(value)[2] or value in HTTP_METHODS]
    return column.share(sum(known)) if column.distinct < 50 and not column.integers else 0.0


def _name_by_prefix(columns: Sequence[ColumnStats], ids: Sequence[int], take: Take) -> None:
    """Name the columns whose values say what they are, such as u-17 and sku-4711."""
    for name, pattern in (("user", USER_PREFIX), ("item", ITEM_PREFIX)):
        other = ITEM_PREFIX if name == "user" else USER_PREFIX
        found = [
            number
            for number in ids
            if _share_like(columns[number], pattern) >= MOST and _share_like(columns[number], other) < MOST
        ]
        if len(found) == 1:
            take(found[0], name, f"values such as {', '.join(list(columns[found[0]].top)[:3])}")


def _share_like(column: ColumnStats, pattern: str) -> float:
    total = sum(column.top.values())
    like = sum(count for value, count in column.top.items() if re.fullmatch(pattern, value.lower()))
    return like / total if total else 0.0


def _name_by_category(layout: Layout, ids: Sequence[int], take: Take) -> None:
    """Name user, item and category of three columns of ids, if only one order of them fits.

    An item has one category whoever sees it, and a category has many items.
    """
    fitting = []
    for item, category, user in permutations(ids):
        single, total = layout.determines(item, category, user)
        back, back_total = layout.determines(category, item, user)
        if total >= LEAST_ITEMS and single >= 0.98 * total and back < 0.5 * max(1, back_total):
            fitting.append((item, category, user, single, total))
    if len(fitting) == 1:
        item, category, user, single, total = fitting[0]
        take(
            item,
            "item",
            f"{single:,} of {total:,} values seen by several users have one value of column {category + 1}",
        )
        take(category, "category", f"{layout.columns[category].distinct:,} different, each of many items")
        take(user, "user", f"the column of ids that remains, {layout.columns[user].distinct:,} different")


def _doubts(columns: Sequence[ColumnStats], names: dict[int, str], ids: Sequence[int], take: Take) -> list[Doubt]:
    """Return what the values do not decide. One column of ids that remains beside a user is the item, and no other."""
    open_ids = [number for number in ids if number not in names]
    found = set(names.values())
    if "user" in found and "item" not in found and len(open_ids) == 1:
        take(open_ids[0], "item", f"the only other column of ids, {columns[open_ids[0]].distinct:,} different")
        return []
    if {"user", "item"} <= found:
        return []
    alternatives = [
        Choice(columns[number].name, f"column {number + 1}: {columns[number].distinct:,} different, such as "
               f"{', '.join(list(columns[number].top)[:3])}")
        for number in open_ids
    ]  # fmt: skip
    missing = [("user_id", "user"), ("item_id", "item")]
    return [
        Doubt(key, f"the log has no header line, and its values do not say which column is the {name}", alternatives)
        for key, name in missing
        if name not in found
    ]
