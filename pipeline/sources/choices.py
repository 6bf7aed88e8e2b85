"""What is chosen for a key of a TOML, or left open, and which columns could be it by their names."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.sources.column_stats import ColumnStats
from pipeline.sources.vocabulary import COLUMNS, plain_name

# Names that say something only together with the name of the object around them.
GENERIC = {"id", "type", "kind", "name", "date", "content", "at", "key", "page", "action", "time"}


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
    """Return the columns with values whose name is one of those of a key, in the order of preference."""
    wanted = names or COLUMNS[key]
    usable = [one for one in columns if one.filled and (key in ("item_id", "tags") or not one.in_list)]
    ranked = [(min((wanted.index(name) for name in _names(column) if name in wanted), default=-1), column)
              for column in usable]  # fmt: skip
    return [column for rank, column in sorted(ranked, key=lambda one: one[0]) if rank >= 0]


def _names(column: ColumnStats) -> set[str]:
    """Return the names that a column goes by: of `context.user.id` these are contextuserid and userid, but not id."""
    last = plain_name(column.path[-1])
    names = {plain_name("".join(column.path[-2:])), plain_name("".join(column.path))}
    return names | ({last} if len(column.path) == 1 or last not in GENERIC else set())


def by_name(column: ColumnStats, expression: str = "{x}", more: str = "") -> Choice:
    counts = f"{column.filled:,} of {column.rows:,} lines have it, {column.distinct:,} different"
    return Choice(expression.replace("{x}", column.sql), f"{column.name}: {counts}{more}")
