"""From the sequences known through a day to a verdict on the challengers, told on the terminal."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

from pyiceberg.catalog import load_catalog
from rich.console import Console
from rich.progress import Progress

from model.data.cutoffs import MAX_TRAIN_CUTOFFS, Plan, plan
from model.data.days import HORIZON_DAYS
from model.data.folds import histories
from model.data.history import HISTORY_COLUMNS
from model.data.sequences import CATALOG, SequencesSnapshot, first_day_read, open_sequences, sequences_with
from model.errors import UsageError
from model.model_selection import load
from model.registry import Registry, Training, Version, newest_promoted, unused_name
from model.training.challengers import BoostingChallenger, Challenger, TransformerChallenger
from model.training.promotion import Challenge, challenge, last_line, results_table, seen_week_message, steps_of
from model.transformer.config import SIZES
from model.transformer.distributed import is_main_rank
from model.transformer.fit import WEEKLY_TRANSFORMER
from model.transformer.progress import StepCallback as Watch
from model.transformer.progress import plain_lines
from model.transformer.workdir import WorkDir

BRANCH = "main"  # what is published


@dataclass(frozen=True)
class TrainingContext:
    """What a challenger is given to train with."""

    watch: Watch  # is told of every step
    workdir: WorkDir
    size: str  # of a network, as SIZES names it


CHALLENGERS: Mapping[str, Callable[[TrainingContext], Challenger]] = MappingProxyType(
    {
        "boosting": lambda at: BoostingChallenger(),
        "transformer": lambda at: TransformerChallenger(
            replace(WEEKLY_TRANSFORMER, on_step=at.watch, workdir=at.workdir, size=at.size)
        ),
    }
)


@dataclass(frozen=True)
class TrainingRequest:
    """What is asked of one training. Raises UsageError if it names what there is not."""

    through: date
    run_id: str
    promotes: bool
    challengers: tuple[str, ...]  # of CHALLENGERS
    size: str = WEEKLY_TRANSFORMER.size  # of the Transformer's network

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(
                f"THROUGHLINE_TRANSFORMER_SIZE={self.size}: expected one of {', '.join(SIZES)}, by what the machine is"
            )
        unknown = [name for name in self.challengers if name not in CHALLENGERS]
        if unknown or not self.challengers or len(set(self.challengers)) < len(self.challengers):
            raise UsageError(
                f"--challengers {','.join(self.challengers)!r}: expected one or more of {', '.join(CHALLENGERS)}, each "
                f"once, with commas between them"
            )


def train_week(order: TrainingRequest, home: Path) -> str | None:
    """Train, judge, keep and maybe promote challengers; return the outcome of the leading one in one line.

    A run of the same id goes on where an earlier one was killed, if the table is as it was. Of several ranks the first
    alone tells and keeps; the others return None.

    Raises InputError if the log is too young or too quiet, or if the table is missing or of another version.
    """
    started = time.monotonic()
    registry = Registry(home)
    sequences = _sequences(order.through)
    weeks = plan(order.through, min(sequences.days_with_rows, default=None))
    versions = registry.versions()
    champion = newest_promoted(versions, weeks.judged)
    tries = WorkDir(home / "exchange" / f".{order.run_id}.training")
    if is_main_rank():
        tries.clear(but=str(sequences.snapshot_id))
    console = Console(stderr=True, highlight=False, quiet=not is_main_rank())
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading sequences")
        watch: Watch = plain_lines(console)
        if console.is_terminal:
            watch = lambda told: progress.update(task, description=told.line)  # noqa: E731
        workplace = TrainingContext(watch, tries.part(str(sequences.snapshot_id)), order.size)
        challengers = [CHALLENGERS[name](workplace) for name in order.challengers]
        named = {unused_name(one.kind, order.through, versions): one for one in challengers}
        progress.update(task, total=steps_of(challengers) + 1)
        outcome = challenge(
            named,
            weeks,
            histories(sequences, {*weeks.cutoffs, weeks.through}),
            [(champion.name, load(champion, registry))] if champion else [],
            lambda doing: progress.update(task, advance=1, description=doing),
        )
    if not is_main_rank():
        return None
    console.print(results_table(outcome))
    for peeping in _leaking_versions(versions, weeks):
        console.print(seen_week_message(peeping.name, peeping.trained_through), soft_wrap=True)
    told = _save(outcome, order, sequences, registry, time.monotonic() - started)
    tries.clear()
    return told


def _sequences(through: date) -> SequencesSnapshot:
    first_cutoff = through - timedelta(days=HORIZON_DAYS * (MAX_TRAIN_CUTOFFS + 2))
    schema = sequences_with(HISTORY_COLUMNS)
    return open_sequences(load_catalog(CATALOG), BRANCH, first_day_read(first_cutoff), through, schema)


def _leaking_versions(versions: Sequence[Version], weeks: Plan) -> list[Version]:
    """Return the promoted versions that have seen days of the judging week."""
    return [version for version in versions if version.is_promoted and weeks.judged < version.trained_through]


def _save(
    outcome: Challenge, order: TrainingRequest, sequences: SequencesSnapshot, registry: Registry, seconds: float
) -> str:
    snapshot_id = sequences.snapshot_id
    assert snapshot_id is not None, "a table without a snapshot has no days, which the plan refuses"
    leader, winner = outcome.leader, outcome.winner
    training = Training(
        run_id=order.run_id,
        parameters={
            "kind": leader.kind,
            **leader.learnt.parameters(),
            "best_opponent": leader.verdict.best.name,
            "challengers": ",".join(order.challengers),
        },
        metrics={**_metrics(outcome), "seconds": seconds},
        trained_through=order.through,
        sequences_snapshot=snapshot_id,
        report={**outcome.as_json(), "sequences_snapshot": snapshot_id, "run_id": order.run_id},
        curves=leader.learnt.curves,
    )
    tracked_as = registry.record(training)
    if winner is None:
        return last_line(outcome, "not promoted", leader.verdict.challenger.name)
    made = registry.register(winner.kind, training, tracked_as, winner.save, order.promotes)
    return last_line(outcome, "promoted" if order.promotes else "won, not promoted as asked", made.name)


def _metrics(outcome: Challenge) -> dict[str, float]:
    """Return the figures of the leader under plain names, those of each challenger and of counts-1 under theirs."""
    leader, difference = outcome.leader, outcome.leader.verdict.difference
    named = {one.kind: one.verdict.challenger for one in outcome.outcomes}
    named["counts-1"] = leader.verdict.opponents[0]
    return {
        **leader.verdict.challenger.figures(),
        **{
            f"{name.replace('-', '_')}_{metric}": value
            for name, judged in named.items()
            for metric, value in judged.figures().items()
        },
        "difference": difference.mean,
        "difference_low": difference.low,
        "difference_high": difference.high,
    }
