"""The steps of a night as command lines: one place for the terminal and for the orchestrator."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.days import DayRange
from pipeline.local.spark_config import conf_folder
from pipeline.settings import ROOT, Settings
from pipeline.warehouse.tables import branch_of, clusters_run_id, default_run_id

STEPS = ("clean", "sessions", "sequences", "score", "publish")
NEWEST_MODEL = "as-of"


@dataclass(frozen=True)
class CommandLine:
    """One process of a step; `label` is what progress and logs call it."""

    label: str
    arguments: tuple[str, ...]


def land_command(toml: Path, paths: list[Path], arrival_day: str | None) -> CommandLine:
    day = ("--arrival-day", arrival_day) if arrival_day else ()
    return _spark("land", "--source", str(toml), *day, *[str(path) for path in paths])


def replace_source_command(toml: Path, run_id: str) -> CommandLine:
    """Return the process that checks a mended TOML and keeps it for a run."""
    return _spark("replace_source", "--source", str(toml), "--run-id", run_id)


def tables_command() -> CommandLine:
    return _spark("tables")


def classes_command(java_options: str) -> CommandLine:
    """Return the process whose JVM, started with `java_options`, keeps the classes that steps need."""
    return _spark("classes", options=("--driver-java-options", java_options))


def step_commands(
    step: str, days: DayRange, run_id: str | None = None, score_all: bool = False, model: str = NEWEST_MODEL
) -> list[CommandLine]:
    """Return the processes of a step, in order. Scoring is two: the model scores, Spark takes the scores in.

    model: `as-of` (the newest promoted one trained through the day or before), `none` (the built-in counts), a version.
    """
    run_id = run_id or default_run_id(days.last)
    which = (
        ("--day", str(days.last)) if days.first == days.last else ("--from", str(days.first), "--to", str(days.last))
    )
    if step != "score":
        return [_spark(step, *which, "--run-id", run_id)]
    score = score_arguments(str(days.first), str(days.last), branch_of(days.last), run_id, model)
    return [
        _model(*score, *(("--all",) if score_all else ())),
        _spark("profiles", *which, "--run-id", run_id),
    ]


def clusters_command(through: date) -> CommandLine:
    """Return the process that trains a version of item clusters on what was known through a day."""
    return _spark("clusters", "--through", str(through), "--run-id", clusters_run_id(through))


def train_command(through: date, run_id: str | None = None, promote: bool = True) -> CommandLine:
    """Return the process that trains a challenger on what was known through a day, and promotes it if it wins."""
    train = train_arguments(str(through), run_id or f"training_{through:%Y%m%d}")
    return _model(*train, *(() if promote else ("--no-promote",)))


def evaluate_command(
    as_of: date, horizon_days: int, run_id: str | None = None, with_transformer: bool = False
) -> CommandLine:
    """Return the process that judges models by what users did in the days after `as_of`."""
    named = run_id or f"evaluation_{as_of:%Y%m%d}"
    more = ("--transformer",) if with_transformer else ()
    return _model("evaluate", "--as-of", str(as_of), "--horizon-days", str(horizon_days), "--run-id", named, *more)


def score_arguments(first: str, last: str, branch: str, run_id: str, model: str) -> tuple[str, ...]:
    """Return what `python -m model` is told to score; each value may also be a template that Airflow fills in."""
    return ("score", "--from", first, "--to", last, "--branch", branch, "--run-id", run_id, "--model", model)


def train_arguments(through: str, run_id: str) -> tuple[str, ...]:
    """Return what `python -m model` is told to train; each value may also be a template that Airflow fills in."""
    return ("train", "--through", through, "--run-id", run_id)


def job_file(job: str) -> Path:
    """Return what spark-submit runs for a job."""
    return ROOT / "pipeline" / "jobs" / f"{job}.py"


def step_environment(settings: Settings) -> Mapping[str, str]:
    """Return the environment in which every step runs: where Spark and PyIceberg find their configuration, and what the
    model is to know of the settings."""
    conf = str(conf_folder(settings))
    return {
        **os.environ,
        "THROUGHLINE_HOME": str(settings.home),
        "SPARK_CONF_DIR": conf,
        "PYICEBERG_HOME": conf,
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        "THROUGHLINE_TRANSFORMER_SIZE": settings.transformer_size,
        "THROUGHLINE_TRAIN_RANKS": str(settings.train_ranks),
    }


def _spark(job: str, *arguments: str, options: tuple[str, ...] = ()) -> CommandLine:
    submit = Path(sys.executable).parent / "spark-submit"
    return CommandLine(job, (str(submit), *options, "--name", job, str(job_file(job)), *arguments))


def _model(command: str, *arguments: str) -> CommandLine:
    return CommandLine(command, (sys.executable, "-m", "model", command, *arguments))
