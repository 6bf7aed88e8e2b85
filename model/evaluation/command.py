"""`python -m model evaluate`: evaluates models on the table of sequences; writes a page, a report and an MLflow run."""

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
from model.data.cutoffs import MAX_TRAIN_CUTOFFS, Cutoffs, evaluation_cutoffs
from model.data.folds import read_histories
from model.data.history import HISTORY_COLUMNS
from model.data.item_tags import read_item_tags
from model.data.sequences import CATALOG, SequencesSnapshot, first_day_read, open_sequences, sequences_with
from model.evaluation.backtest import STEPS_PER_ENTRANT, Evaluation, evaluate
from model.evaluation.entrants import Pretrained, PretrainedCounts, champion
from model.evaluation.page import render_page
from model.evaluation.report import Configuration, configuration, report
from model.evaluation.returning import CountsReturning, Returning
from model.evaluation.tables import last_line, terminal_tables
from model.interfaces import Model
from model.registry import Registry, TrackedRun, registry_of
from model.transformer.fit import WEEKLY_TRANSFORMER

EXPERIMENT = "interest-evaluation"
NOT_IN_METRIC_NAMES = re.compile(r"[^A-Za-z0-9_.-]")  # MLflow refuses most other characters
TABLE_WIDTH = 120  # also where the output is no terminal
# Settings of each method, by its name. counts-1 is fitted as in every night, so it is not tuned.
SEARCH_SPACES: Mapping[str, Sequence[Model]] = {name: grid for name, grid in GRIDS.items() if name != COUNTS}
# The setting of the weekly challenger. On the demo it takes longer than all baselines together.
TRANSFORMER: Mapping[str, Sequence[Model]] = {WEEKLY_TRANSFORMER.name: (WEEKLY_TRANSFORMER,)}
RETURNING: Mapping[str, Sequence[Returning]] = {COUNTS: (CountsReturning(),), "boosting": RETURN_GRID}


@dataclass(frozen=True)
class EvaluationRequest:
    """The arguments of one evaluation."""

    as_of: date
    horizon_days: int
    run_id: str
    branch: str
    with_transformer: bool = False


def run_evaluation(request: EvaluationRequest, home: Path) -> str:
    """Evaluate as of a day, save the report, and return the best model in one line.

    Raises InputError if the table is missing, the log is too young or has too few events, or the test window is not
    over; LeakError if a model fails a leakage check.
    """
    registry = registry_of(home)
    sequences = _sequences(request)
    oldest, newest = sequences.span or (None, None)
    cutoffs = evaluation_cutoffs(request.as_of, request.horizon_days, oldest, newest)
    pretrained = _pretrained(registry, cutoffs)
    search_spaces = {**SEARCH_SPACES, **(TRANSFORMER if request.with_transformer else {})}
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True) as progress:
        steps = 3 + STEPS_PER_ENTRANT * (len(search_spaces) + len(pretrained))
        task = progress.add_task("reading sequences", total=steps)
        evaluation = evaluate(
            read_histories(sequences, cutoffs, read_item_tags(load_catalog(CATALOG), request.branch)),
            cutoffs,
            search_spaces,
            pretrained,
            RETURNING,
            lambda step: progress.update(task, advance=1, description=step),
        )
    for table in terminal_tables(evaluation):
        Console(width=TABLE_WIDTH, highlight=False).print(table)
    settings = configuration(cutoffs, sequences.snapshot_id, search_spaces, pretrained, tuple(RETURNING))
    html = _save(evaluation, settings, request, home, registry)
    return last_line(evaluation, str(html))


def _sequences(request: EvaluationRequest) -> SequencesSnapshot:
    first_cutoff = request.as_of - timedelta(days=request.horizon_days * (MAX_TRAIN_CUTOFFS + 1))
    schema = sequences_with(HISTORY_COLUMNS)
    return open_sequences(load_catalog(CATALOG), request.branch, first_day_read(first_cutoff), date.max, schema)


def _pretrained(registry: Registry, cutoffs: Cutoffs) -> list[Pretrained]:
    horizon_days = cutoffs.horizon_days
    found = champion(registry, (cutoffs.validation, cutoffs.test), horizon_days)
    return [PretrainedCounts(horizon_days), *([found] if found else [])]


def _save(
    evaluation: Evaluation, settings: Configuration, request: EvaluationRequest, home: Path, registry: Registry
) -> Path:
    """Write the page and the report, track them in MLflow, and return the path of the page."""
    folder = home / "evaluations" / f"{request.as_of}-{settings.hash[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    json_file, html_file = folder / "report.json", folder / "report.html"
    json_file.write_text(json.dumps(report(evaluation, settings, request.run_id), indent=2) + "\n")
    html_file.write_text(render_page(evaluation, settings), encoding="utf-8")
    figures = {
        f"{NOT_IN_METRIC_NAMES.sub('_', row.result.name)}/{metric}": value
        for row in evaluation.leaderboard.rows
        for metric, value in row.result.figures.items()
        if value == value  # MLflow refuses nan
    }
    registry.track(
        TrackedRun(
            experiment=EXPERIMENT,
            run_id=request.run_id,
            tags={
                "as_of": str(request.as_of),
                "configuration_hash": settings.hash,
                "best": evaluation.leaderboard.best.name,
            },
            parameters={"horizon_days": request.horizon_days, "branch": request.branch},
            metrics=figures,
            artifacts=(json_file, html_file),
        )
    )
    return html_file
