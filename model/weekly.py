"""From the sequences known through a day to a verdict on a challenger, told on the terminal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pyiceberg.catalog import load_catalog
from rich.console import Console
from rich.progress import Progress

from model.boosting.artifact import write_forest
from model.boosting.boosting1 import KIND
from model.choice import forest_of
from model.days import DAYS_AHEAD
from model.history import HISTORY_COLUMNS
from model.nightly import CATALOG
from model.registry import Registry, Training, Version, newest_promoted, unused_name
from model.sequences import SequencesSnapshot, first_day_read, open_sequences
from model.sequences_schema import sequences_with
from model.training.challenge import STEPS, Challenge, challenge
from model.training.plan import MOST_TAUGHT, Plan, plan
from model.training.told import contestants, has_seen_the_week, last_line
from model.training.weeks import histories

BRANCH = "main"  # what is published


@dataclass(frozen=True)
class Order:
    """What is asked of one training."""

    through: date
    run_id: str
    promotes: bool


def train_week(order: Order, home: Path) -> str:
    """Train, judge, keep and maybe promote a challenger; return the outcome in one line.

    Raises InputError if the log is too young or too quiet, or if the table is missing or of another version.
    """
    started = time.monotonic()
    registry = Registry(home)
    sequences = _sequences(order.through)
    weeks = plan(order.through, min(sequences.days_with_rows, default=None))
    versions = registry.versions()
    champion = newest_promoted(versions, weeks.judged)
    name = unused_name(KIND, order.through, versions)
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading sequences", total=STEPS + 1)
        outcome = challenge(
            name,
            weeks,
            histories(sequences, {*weeks.cuts, weeks.through}),
            [(champion.name, forest_of(champion, registry))] if champion else [],
            lambda doing: progress.update(task, advance=1, description=doing),
        )
    console.print(contestants(outcome))
    for peeping in _peeping(versions, weeks):
        console.print(has_seen_the_week(peeping.name, peeping.trained_through), soft_wrap=True)
    return _kept(outcome, order, sequences, registry, name, time.monotonic() - started)


def _sequences(through: date) -> SequencesSnapshot:
    first_cut = through - timedelta(days=DAYS_AHEAD * (MOST_TAUGHT + 2))
    schema = sequences_with(HISTORY_COLUMNS)
    return open_sequences(load_catalog(CATALOG), BRANCH, first_day_read(first_cut), through, schema)


def _peeping(versions: Sequence[Version], weeks: Plan) -> list[Version]:
    """Return the promoted versions that have seen days of the judging week."""
    return [version for version in versions if version.is_promoted and weeks.judged < version.trained_through]


def _kept(
    outcome: Challenge, order: Order, sequences: SequencesSnapshot, registry: Registry, name: str, seconds: float
) -> str:
    snapshot_id = sequences.snapshot_id
    assert snapshot_id is not None, "a table without a snapshot has no days, which the plan refuses"
    figures = outcome.verdict.challenger.figures()
    difference = outcome.verdict.difference
    training = Training(
        run_id=order.run_id,
        parameters={"kind": KIND, **outcome.chosen.recipe.as_json(), "best_opponent": outcome.verdict.best.name},
        metrics={
            **figures,
            **{f"counts_1_{metric}": value for metric, value in outcome.verdict.opponents[0].figures().items()},
            "difference": difference.mean,
            "difference_low": difference.low,
            "difference_high": difference.high,
            "seconds": seconds,
        },
        trained_through=order.through,
        sequences_snapshot=snapshot_id,
        report={**outcome.as_json(), "sequences_snapshot": snapshot_id, "run_id": order.run_id},
    )
    tracked_as = registry.record(training)
    winner = outcome.winner
    if winner is None:
        return last_line(outcome, "not promoted", name)
    made = registry.register(KIND, training, tracked_as, lambda to: write_forest(winner, to), order.promotes)
    return last_line(outcome, "promoted" if order.promotes else "won, not promoted as asked", made.name)
