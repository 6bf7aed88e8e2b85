"""Scores days shard by shard: from the sequences of a night to profiles of its users, or of a part, in the exchange.

Each day is scored by the model of that day. Models that are fitted every day use the users of lowest hash.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from rich.console import Console
from rich.progress import Progress

from model.data.days import clock
from model.data.exchange import Exchange
from model.data.history import HISTORY_COLUMNS, history_of
from model.data.item_tags import read_item_tags
from model.data.profiles import models_of_day_before, profiles_of
from model.data.sequences import CATALOG, batches_of, first_day_read, open_sequences, sequences_with
from model.data.shards import COMPRESSED, Shards, count_for, dealt_out, read_rows
from model.data.users import MAX_USERS, sample_users, scoring_population
from model.interfaces import Scorer, ScorerAsOf
from model.model_selection import days_of_new_models, scorer_of, select_items, select_version
from model.registry import registry_of

USERS_AT_ONCE = 4096  # bounds memory, changes no row
DAYS_AT_ONCE = 100  # bounds open files and fitted models, changes no row


Tagged = Callable[[pa.Table, date], pa.Table]  # rows as of a day -> the same, with tags of items where events lack them


def fit_scorers(shards: Shards, days: Sequence[date], scorer_as_of: ScorerAsOf, tagged: Tagged) -> dict[date, Scorer]:
    """Return the scorer of each of the consecutive `days`, fitted to the same sample as from the whole table."""
    files = {day: shards.folder / f"sample-{day}.arrow" for day in days}
    missing = dict.fromkeys(days, MAX_USERS)
    with ExitStack() as stack:
        writers = {
            day: stack.enter_context(pa.ipc.new_stream(str(file), shards.schema, options=COMPRESSED))
            for day, file in files.items()
        }
        for shard in range(shards.count):
            if not any(missing.values()):
                break
            for day, known in shards.known_by_day(shard, days):
                sampled = sample_users(known, missing[day])
                writers[day].write_table(sampled)
                missing[day] -= len(sampled)
    return {day: scorer_as_of(tagged(read_rows(file), day), day) for day, file in files.items()}


def score_days(
    shards: Shards,
    days: Sequence[date],
    all_users_on: frozenset[date],
    scorer_as_of: ScorerAsOf,
    exchange: Exchange,
    now: Callable[[], datetime],
    tagged: Tagged = lambda rows, day: rows,
) -> Iterator[Mapping[date, Mapping[str, Any]]]:
    """Write the profiles of the consecutive `days`, shard by shard, and by user within one.

    Yields, after each group of days, the manifest entry of each day: version, rows, parameters.

    all_users_on: days on which all recent users are scored, not only a seventh of those without new events.
    """
    for start in range(0, len(days), DAYS_AT_ONCE):
        some = days[start : start + DAYS_AT_ONCE]
        scorers = fit_scorers(shards, some, scorer_as_of, tagged)
        rows = dict.fromkeys(some, 0)
        with exchange.open_profiles(some) as writers:
            for shard in shards.scored:
                for day, known in shards.known_by_day(shard, some):
                    is_scored_U = scoring_population(known, day, day in all_users_on, scorers[day].horizon_days)
                    scored = tagged(known.filter(pa.array(is_scored_U)), day).sort_by("user_id")
                    for profiles in _profiles(scored, day, scorers[day], now()):
                        writers[day].write_table(profiles)
                        rows[day] += len(profiles)
        yield {
            day: {"model_version": scorer.version, "rows": rows[day], "parameters": scorer.parameters()}
            for day, scorer in scorers.items()
        }


def manifest(
    entries: Mapping[date, Mapping[str, Any]], input_snapshots: Mapping[str, int], started: float
) -> dict[str, Any]:
    """Return the manifest of a finished run.

    entries: by day, as `score_days` yields them.
    started: `time.monotonic()` at the start.
    """
    return {
        "model_versions": {str(day): of_day["model_version"] for day, of_day in entries.items()},
        "days": [str(day) for day in entries],
        "rows": {str(day): of_day["rows"] for day, of_day in entries.items()},
        "input_snapshots": dict(input_snapshots),
        "parameters": {str(day): of_day["parameters"] for day, of_day in entries.items()},
        "seconds": round(time.monotonic() - started, 3),
    }


def _profiles(scored: pa.Table, day: date, scorer: Scorer, scored_at: datetime) -> Iterator[pa.Table]:
    for start in range(0, len(scored), USERS_AT_ONCE):
        history = history_of(scored.slice(start, USERS_AT_ONCE))
        yield profiles_of(history, scorer.score(history), day, scorer.version, scored_at, scorer.horizon_days)


def score_night(
    days: list[date], branch: str, exchange: Exchange, all_users: bool, choice: str, horizon_days: int
) -> None:
    """Score each of the consecutive `days`.

    All users seen within 90 days are scored on the last of several days, and on a day that another model scores than
    the day before: else rows of both would stand side by side for days. With `all_users` they are on each day.

    choice: which model; see `select_version`.
    horizon_days: how far the profiles look ahead.
    Raises InputError if the table of sequences is missing or of another version, or if the model may not be used.
    """
    started = time.monotonic()
    registry = registry_of(exchange.home)
    version_of_day = select_version(choice, days, registry, horizon_days)
    scorer_as_of = scorer_of(version_of_day, select_items(choice, registry, horizon_days), registry, horizon_days)
    schema = sequences_with(HISTORY_COLUMNS)
    catalog = load_catalog(CATALOG)
    sequences = open_sequences(catalog, branch, first_day_read(days[0]), days[-1], schema)
    item_tags = read_item_tags(catalog, branch)

    def tagged(rows: pa.Table, day: date) -> pa.Table:
        version = version_of_day(day)
        return item_tags.with_tags(rows, day, version.clusters_through if version else None)

    before = models_of_day_before(catalog, branch, days[0])
    by_new_models = days_of_new_models(days, version_of_day, before)
    all_users_on = frozenset(days if all_users else [*by_new_models, *(days[-1:] if len(days) > 1 else [])])
    exchange.clear(days)
    entries: dict[date, Mapping[str, Any]] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"scoring {days[0]}", total=len(days))
        count = count_for(sequences.row_count, exchange.part)
        with dealt_out(batches_of(sequences), count, schema, exchange.shards_folder, exchange.part) as shards:
            for some in score_days(shards, days, all_users_on, scorer_as_of, exchange, clock, tagged):
                entries |= some
                progress.update(task, advance=len(some), description=f"scored {max(some)}")
    snapshots = {} if sequences.snapshot_id is None else {"sequences": sequences.snapshot_id}
    place = exchange.write_manifest(manifest(entries, snapshots, started))
    rows = sum(of_day["rows"] for of_day in entries.values())
    console.print(f"{rows} profiles of {len(days)} day(s) in {place}", highlight=False, soft_wrap=True)
