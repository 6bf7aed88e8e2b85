"""A table `interest.sequences` of many made-up users, in an SQLite catalog.

Shape letters: U users, E events (a user's together, oldest first).
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from model.data.days import MICROS_PER_DAY, UTC_MOMENT, end_of_day
from model.data.sequences import SEQUENCES

LAST_DAY = date(2026, 3, 31)
USERS_AT_ONCE = 50_000
EVENTS = (2, 6)  # of a user, least and most
DAYS = 60  # over which they are spread
TAGS = 300
SEQUENCES_TABLE = "interest.sequences"


def catalog_settings(folder: Path) -> dict[str, str]:
    return {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}


def catalog_environment(folder: Path) -> dict[str, str]:
    """Return the variables by which a process finds the catalog."""
    return {f"PYICEBERG_CATALOG__THROUGHLINE__{key.upper()}": one for key, one in catalog_settings(folder).items()}


def new_catalog(folder: Path) -> SqlCatalog:
    """Return a catalog with an empty table of sequences."""
    catalog = SqlCatalog("throughline", **catalog_settings(folder))
    catalog.create_namespace("interest")
    table = catalog.create_table(SEQUENCES_TABLE, SEQUENCES)
    with table.update_spec() as spec:
        spec.add_identity("as_of")
    return catalog


def make_sequences(users: int, folder: Path) -> None:
    """Write one row per user; the rows of one write share their as-of day, one of the last five."""
    table, random = new_catalog(folder).load_table(SEQUENCES_TABLE), np.random.default_rng(1)
    for number, first in enumerate(range(0, users, USERS_AT_ONCE)):
        day = LAST_DAY - timedelta(days=number % 5)
        table.append(made_up_users(first, min(USERS_AT_ONCE, users - first), day, random))


def make_weeks(users: int, tags: int, weeks: int, folder: Path) -> None:
    """Write one row per user and week; each row has a random history of its own."""
    table, random = new_catalog(folder).load_table(SEQUENCES_TABLE), np.random.default_rng(1)
    for number in range(weeks, -1, -1):
        table.append(made_up_users(0, users, LAST_DAY - timedelta(days=7 * number), random, tags))


def made_up_users(first: int, users: int, day: date, random: np.random.Generator, tags: int = TAGS) -> pa.Table:
    """Return the rows of so many users as of a day, from the number `first` on."""
    count_U = random.integers(EVENTS[0], EVENTS[1] + 1, users)
    user_E = np.repeat(np.arange(users), count_U)
    events = len(user_E)
    at_E = end_of_day(day) - 1 - random.integers(0, DAYS * MICROS_PER_DAY, events)
    at_E = at_E[np.lexsort((at_E, user_E))]
    tag_E = np.minimum(random.geometric(6 / tags, events) - 1, tags - 1)
    offsets_U = np.concatenate([[0], np.cumsum(count_U)])
    names = pa.array([f"tag{number:04d}" for number in range(tags)], pa.large_string())
    sessions = pa.array([f"{user:08x}{at // MICROS_PER_DAY:08x}"
                         for user, at in zip((user_E + first).tolist(), at_E.tolist(), strict=True)])  # fmt: skip
    touched = pa.LargeListArray.from_arrays(np.arange(events + 1), names.take(pa.array(tag_E)))
    at = pa.array(at_E).cast(UTC_MOMENT)

    def lists(values: pa.Array) -> pa.Array:
        return pa.LargeListArray.from_arrays(offsets_U, values)

    columns = {
        "user_id": pa.array([f"{number:064x}" for number in range(first, first + users)], pa.large_string()),
        "as_of": pa.repeat(pa.scalar(day, pa.date32()), users),
        "item": lists(pa.array(tag_E * 100 + random.integers(0, 100, events) + 1)),
        "tags": lists(touched),
        "action": lists(pa.repeat(pa.scalar("view", pa.large_string()), events)),
        "weight": lists(pa.repeat(1.0, events)),
        "event_at": lists(at),
        "session_id": lists(sessions.cast(pa.large_string())),
        "event_count": pa.array(count_U),
        "first_event_at": at.take(pa.array(offsets_U[:-1])),
        "last_event_at": at.take(pa.array(offsets_U[1:] - 1)),
        "excluded_item": pa.repeat(pa.scalar([], pa.large_list(pa.int64())), users),
    }
    return pa.table(columns, schema=SEQUENCES)
