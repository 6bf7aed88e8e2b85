"""Scores days shard by shard: who is scored, by the model of that day, into the exchange folder."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from model.exchange import Exchange
from model.history import history_of
from model.profiles import profiles_of
from model.samples import fitted
from model.scorer import Scorer, ScorerAsOf
from model.shards import Shards
from model.who_is_scored import who_is_scored

USERS_AT_ONCE = 4096  # bounds memory, changes no row
DAYS_AT_ONCE = 100  # bounds open files and fitted models, changes no row


def score_days(
    shards: Shards,
    days: Sequence[date],
    everybody_on: frozenset[date],
    scorer_as_of: ScorerAsOf,
    exchange: Exchange,
    now: Callable[[], datetime],
) -> Iterator[Mapping[date, Mapping[str, Any]]]:
    """Write the profiles of the consecutive `days`, shard by shard, and by user within one.

    Yields after some days what the manifest says of each of them: version, rows, parameters.

    everybody_on: days on which all users seen lately are scored, not a seventh of those without news.
    """
    for start in range(0, len(days), DAYS_AT_ONCE):
        some = days[start : start + DAYS_AT_ONCE]
        scorers = fitted(shards, some, scorer_as_of)
        rows = dict.fromkeys(some, 0)
        with exchange.open_profiles(some) as writers:
            for shard in range(shards.count):
                for day, known in shards.known_by_day(shard, some):
                    is_scored_U = who_is_scored(known, day, day in everybody_on)
                    scored = known.filter(pa.array(is_scored_U)).sort_by("user_id")
                    for profiles in _profiles(scored, day, scorers[day], now()):
                        writers[day].write_table(profiles)
                        rows[day] += len(profiles)
        yield {
            day: {"model_version": scorer.version, "rows": rows[day], "parameters": scorer.parameters()}
            for day, scorer in scorers.items()
        }


def manifest(
    told: Mapping[date, Mapping[str, Any]], input_snapshots: Mapping[str, int], started: float
) -> dict[str, Any]:
    """Return what a reader needs to know of a finished run.

    told: by day, as `score_days` yields it.
    started: `time.monotonic()` at the start.
    """
    return {
        "model_versions": {str(day): of_day["model_version"] for day, of_day in told.items()},
        "days": [str(day) for day in told],
        "rows": {str(day): of_day["rows"] for day, of_day in told.items()},
        "input_snapshots": dict(input_snapshots),
        "parameters": {str(day): of_day["parameters"] for day, of_day in told.items()},
        "seconds": round(time.monotonic() - started, 3),
    }


def _profiles(scored: pa.Table, day: date, scorer: Scorer, scored_at: datetime) -> Iterator[pa.Table]:
    for start in range(0, len(scored), USERS_AT_ONCE):
        history = history_of(scored.slice(start, USERS_AT_ONCE))
        yield profiles_of(history, scorer.score(history), day, scorer.version, scored_at)
