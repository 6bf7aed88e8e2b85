"""What is chosen for a key of a TOML, or left open, and which columns could be it by their names; how to read times."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.sources.column_stats import ColumnStats
from pipeline.sources.times import AMBIGUOUS, DAY, DAY_FIRST, FORMS, MONTH_FIRST, TIME_OF_DAY, TWELVE_HOURS
from pipeline.sources.vocabulary import COLUMNS, plain_name

# Names that say something only together with the name of the object around them.
GENERIC = {"id", "type", "kind", "name", "date", "content", "at", "key", "page", "action", "time"}
EACH = "each"  # the name of an element of the list that [unfold] names
# Names of columns whose object is the event itself; they add nothing to the names of its fields. A column such as
# `device` does: the type in it is that of the device.
CONTAINERS = (
    r"properties|props|payload|data|event(data)?|message|msg|record|body|json|log|attributes|params|column[0-9]+"
)
WRAPPERS = {"$oid", "$date", "$numberLong", "$numberInt", "$numberDouble"}  # of mongoexport, around a value


@dataclass(frozen=True)
class Choice:
    """An expression for a key of [columns], and the counts that speak for it."""

    expression: str
    evidence: str


@dataclass(frozen=True)
class Doubt:
    """A key of which the log does not say enough: what was found, and the expressions that it could be."""

    key: str
    found: str
    alternatives: Sequence[Choice] = ()


def candidates(columns: Sequence[ColumnStats], key: str, names: Sequence[str] = ()) -> list[ColumnStats]:
    """Return the columns with values whose name is one of those of a key, in the order of preference.

    Fields of objects that are written as text are among them only where no other column has such a name and several
    values.
    """
    wanted = names or COLUMNS[key]
    usable = [one for one in columns if one.filled and (key in ("item_id", "tags") or not one.in_list)]
    ranked = [(min((wanted.index(name) for name in _names(column) if name in wanted), default=-1), column)
              for column in usable]  # fmt: skip
    return plain_ones([column for rank, column in sorted(ranked, key=lambda one: one[0]) if rank >= 0])


def plain_ones(columns: Sequence[ColumnStats]) -> list[ColumnStats]:
    """Return the columns that are no fields of objects written as text, if one of them has several values; else all."""
    plain = [one for one in columns if not one.in_text]
    return plain if any(one.distinct > 1 for one in plain) else list(columns)


def _names(column: ColumnStats) -> set[str]:
    """Return the names that a column goes by: of `context.user.id` these are contextuserid and userid, but not id."""
    path = column.path[1:] if column.path[0] == EACH else column.path
    if column.in_text and re.fullmatch(CONTAINERS, plain_name(path[column.in_text - 1])):
        path = path[column.in_text :]
    path = path[:-1] if path[-1] in WRAPPERS and len(path) > 1 else path
    last = plain_name(path[-1])
    names = {plain_name("".join(path[-2:])), plain_name("".join(path))}
    return names | ({last} if len(path) == 1 or last not in GENERIC else set())


def by_name(column: ColumnStats, expression: str = "{x}", more: str = "") -> Choice:
    counts = f"{column.filled:,} of {column.rows:,} lines have it, {column.distinct:,} different"
    return Choice(expression.replace("{x}", column.sql), f"{column.name}: {counts}{more}")


MOST = 0.8  # share of the values that must be times
FEW = 0.001  # a form of fewer values is an accident


def read_time(column: ColumnStats) -> Choice | Doubt | None:
    """Return how to read the times of a column; None if most of its values are no times, or days only."""
    found = [form for form in FORMS if column.times.get(form.name) and form not in (DAY, TIME_OF_DAY)]
    count = sum(column.times[form.name] for form in found)
    if not found or column.share(count) < MOST or column.in_list:
        return None
    main = max(found, key=lambda form: column.times[form.name])
    small = [form for form in found if column.share(column.times[form.name]) < FEW]
    found = [form for form in found if form not in small]
    if AMBIGUOUS in found:
        return _day_or_month_first(column)
    counts = ", ".join(f"{column.times[form.name]:,} {form.name}" for form in found)
    x = column.sql
    if len(found) == 1:
        expression = main.expression.replace("{x}", x)
        note = f"; {main.note.replace('{expression}', expression)}" if main.note else ""
        return Choice(expression, f"{column.name}: {counts} of {column.filled:,} values{note}")
    # A reading that does not fit gives null. epoch(x) comes first: it takes numbers only.
    readings = dict.fromkeys(
        form.expression.replace("{x}", x) for form in sorted(found, key=lambda form: form.least is None)
    )
    expression = f"coalesce({', '.join(readings)})" if len(readings) > 1 else next(iter(readings))
    return Choice(expression, f"{column.name} has several forms: {counts} of {column.filled:,} values")


DAYS_OF_A_MONTH = 3  # beside so many different numbers, one that never changes is the month


def _day_or_month_first(column: ColumnStats) -> Choice | Doubt:
    total = column.times[AMBIGUOUS.name]
    has_twelve_hours = (
        sum(count for value, count in column.top.items() if value[-1] in "Mm") > sum(column.top.values()) / 2
    )
    choices = [
        by_name(
            column,
            expression.replace(*TWELVE_HOURS) if has_twelve_hours else expression,
            f"; the first number is the {name}",
        )
        for expression, name in ((DAY_FIRST, "day"), (MONTH_FIRST, "month"))
    ]
    if column.day_first and not column.month_first:
        return Choice(
            choices[0].expression, f"{column.name}: in {column.day_first:,} of {total:,} the first number is above 12"
        )
    if column.month_first and not column.day_first:
        return Choice(
            choices[1].expression,
            f"{column.name}: in {column.month_first:,} of {total:,} the second number is above 12",
        )
    example = next((value for value in column.top), "")
    days = max(column.first_numbers, column.second_numbers)
    if min(column.first_numbers, column.second_numbers) == 1 and days >= DAYS_OF_A_MONTH:
        is_month_first = column.first_numbers == 1
        number = int(example.split("/")[0 if is_month_first else 1])
        if number > 1:  # what happens on the first of each month is plausible
            why = f"{days} days of month {number}; else all would be of day {number}, in {days} months"
            return Choice(choices[is_month_first].expression, f"{column.name}: {why}")
    return Doubt("event_at", f"{column.name} is ambiguous: is {example} day/month or month/day?", choices)
