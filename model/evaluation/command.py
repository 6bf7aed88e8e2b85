"""`python -m model evaluate`: from the table of sequences to a page, a report and a run in MLflow."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pyiceberg.catalog import load_catalog
from rich.console import Console
from rich.progress import Progress

from model.baselines.grids import GRIDS, RETURN_GRID
from model.counts.model import VERSION as COUNTS
from model.data.cutoffs import MAX_TRAIN_CUTOFFS, Split, split
from model.data.folds import read_histories
from model.data.history import HISTORY_COLUMNS
from model.data.sequences import CATALOG, SequencesSnapshot, first_day_read, open_sequences, sequences_with
from model.evaluation.backtest import STEPS_PER_ENTRANT, Evaluation, evaluate
from model.evaluation.entrants import Pretrained, PretrainedCounts, champion
from model.evaluation.page import render_page
from model.evaluation.report import Configuration, configuration, report
from model.evaluation.returning import CountsReturning, Returning
from model.evaluation.tables import last_line, terminal_tables
from model.interfaces import Model
from model.registry import Registry, TrackedRun
from model.transformer.fit import WEEKLY_TRANSFORMER

EXPERIMENT = "interest-evaluation"
NO_METRIC_NAME = re.compile(r"[^A-Za-z0-9_.-]")  # MLflow takes few other characters
TABLE_WIDTH = 120  # where the output is no terminal too
# Settings of each method, by its name. counts-1 takes part as every night fits it.
SEARCH_SPACES: Mapping[str, Sequence[Model]] = {name: grid for name, grid in GRIDS.items() if name != COUNTS}
# One setting, that of the weekly challenger; on the demo it takes longer than all baselines together.
TRANSFORMER: Mapping[str, Sequence[Model]] = {WEEKLY_TRANSFORMER.name: (WEEKLY_TRANSFORMER,)}
RETURNING: Mapping[str, Sequence[Returning]] = {COUNTS: (CountsReturning(),), "boosting": RETURN_GRID}


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked of one evaluation."""

    as_of: date
    horizon_days: int
    run_id: str
    branch: str
    with_transformer: bool = False


def run_evaluation(order: EvaluationRequest, home: Path) -> str:
    """Evaluate as of a day, keep the report, and return who won in one line.

    Raises InputError if the table is missing, the log too young or too quiet, or the test window not over; LeakError
    if a contestant breaks a guard.
    """
    registry = Registry(home)
    sequences = _sequences(order)
    days = sequences.days_with_rows
    windows = split(order.as_of, order.horizon_days, min(days, default=None), max(days, default=None))
    ready = _pretrained(registry, windows)
    families = {**SEARCH_SPACES, **(TRANSFORMER if order.with_transformer else {})}
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True) as progress:
        steps = 3 + STEPS_PER_ENTRANT * (len(families) + len(ready))
        task = progress.add_task("reading sequences", total=steps)
        known = read_histories(sequences, windows)
        outcome = evaluate(
            known,
            windows,
            families,
            ready,
            RETURNING,
            lambda doing: progress.update(task, advance=1, description=doing),
        )
    for table in terminal_tables(outcome):
        Console(width=TABLE_WIDTH, highlight=False).print(table)
    settings = configuration(windows, sequences.snapshot_id, families, ready, tuple(RETURNING))
    html = _save(outcome, settings, order, home, registry)
    return last_line(outcome, str(html))


def _sequences(order: EvaluationRequest) -> SequencesSnapshot:
    first_cutoff = order.as_of - timedelta(days=order.horizon_days * (MAX_TRAIN_CUTOFFS + 1))
    schema = sequences_with(HISTORY_COLUMNS)
    return open_sequences(load_catalog(CATALOG), order.branch, first_day_read(first_cutoff), date.max, schema)


def _pretrained(registry: Registry, windows: Split) -> list[Pretrained]:
    found = champion(registry, (windows.validation, windows.test))
    return [PretrainedCounts(), *([found] if found else [])]


def _save(
    outcome: Evaluation, settings: Configuration, order: EvaluationRequest, home: Path, registry: Registry
) -> Path:
    """Write the page and the report, track them, and return where the page is."""
    folder = home / "evaluations" / f"{order.as_of}-{settings.hash[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    json_file, html_file = folder / "report.json", folder / "report.html"
    json_file.write_text(json.dumps(report(outcome, settings, order.run_id), indent=2) + "\n")
    html_file.write_text(render_page(outcome, settings), encoding="utf-8")
    figures = {
        f"{NO_METRIC_NAME.sub('_', row.judged.name)}/{metric}": value
        for row in outcome.leaderboard.rows
        for metric, value in row.judged.figures.items()
        if value == value  # nan is no metric
    }
    registry.track(
        TrackedRun(
            experiment=EXPERIMENT,
            run_id=order.run_id,
            tags={
                "as_of": str(order.as_of),
                "configuration_hash": settings.hash,
                "best": outcome.leaderboard.best.name,
            },
            parameters={"horizon_days": order.horizon_days, "branch": order.branch},
            metrics=figures,
            artifacts=(json_file, html_file),
        )
    )
    return html_file
