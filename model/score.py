"""Scores days in order: who is scored, by the model of that day, into the exchange folder."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from model.exchange import Exchange
from model.history import history_of
from model.profiles import profiles_of
from model.scorer import Scorer, ScorerAsOf
from model.who_is_scored import who_is_scored

USERS_AT_ONCE = 4096  # bounds memory, changes no row


def score_days(
    known_days: Iterable[tuple[date, pa.Table]],
    everybody_on: frozenset[date],
    scorer_as_of: ScorerAsOf,
    exchange: Exchange,
    now: Callable[[], datetime],
) -> Iterator[tuple[date, Mapping[str, Any]]]:
    """Write the profiles of each day and yield it with what the manifest says of it: version, rows, parameters.

    known_days: each day with the newest row of every user known by its end.
    everybody_on: days on which all users seen lately are scored, not a seventh of those without news.
    """
    for day, known in known_days:
        scorer = scorer_as_of(known, day)
        scored = known.filter(pa.array(who_is_scored(known, day, day in everybody_on))).sort_by("user_id")
        rows = exchange.write_profiles(day, _profiles(scored, day, scorer, now()))
        yield day, {"model_version": scorer.version, "rows": rows, "parameters": scorer.parameters()}


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
