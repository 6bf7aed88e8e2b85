"""The steps of a night as command lines, for the terminal and for Airflow."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.days import DayRange
from pipeline.local.java import find_java
from pipeline.local.spark_config import conf_folder, has_spark, pyiceberg_environment
from pipeline.settings import ROOT, Settings
from pipeline.warehouse.names import branch_of, clusters_run_id, default_run_id


@dataclass(frozen=True)
class NightStep:
    """A step of a night. tasks: its processes in order; summary: one sentence for `--help`."""

    tasks: tuple[str, ...]
    summary: str


# The one list of a night's steps, in order. The task `score` runs `python -m model`; every other task is a Spark job.
STEPS: Mapping[str, NightStep] = {
    "clean": NightStep(("clean",), "Turn landed lines into events; count duplicates, and keep rejects with a reason."),
    "sessions": NightStep(("sessions",), "Split the events of users with new events into sessions."),
    "sequences": NightStep(
        ("sequences",), "Build one sequence of events over all sessions for each user with new events."
    ),
    "score": NightStep(("score", "profiles"), "Score users with a model and write their profiles."),
    "audit": NightStep(("audit",), "Check what a night wrote against the quality gates."),
    "publish": NightStep(("publish",), "Make a night visible to analysts, all tables at once."),
}
TASKS = tuple(task for step in STEPS.values() for task in step.tasks)
# Tasks that write a row per day to the table `runs`, which publication requires.
RECORDED_TASKS = tuple(task for task in TASKS if task not in ("score", "publish"))
NEWEST_MODEL = "as-of"


@dataclass(frozen=True)
class CommandLine:
    """One process. label: its name in progress bars and log files.

    module: a module whose `main(words)` does the same inside the calling process; empty if it always gets its own.
    """

    label: str
    arguments: tuple[str, ...]
    module: str = ""
    words: tuple[str, ...] = ()


def land_command(
    toml: Path, paths: Sequence[str | Path], arrival_day: str | None, is_again: bool = False, in_place: bool = False
) -> CommandLine:
    again = (*(("--again",) if is_again else ()), *(("--in-place",) if in_place else ()))
    day = ("--arrival-day", arrival_day) if arrival_day else ()
    return job_command("land", "--source", str(toml), *day, *again, *[str(path) for path in paths])


def replace_source_command(toml: Path, run_id: str) -> CommandLine:
    """Return the process that checks a corrected TOML and keeps it for one run."""
    return job_command("replace_source", "--source", str(toml), "--run-id", run_id)


def replay_command(
    source: str, reason: str | None, first: str | None, is_dry_run: bool, run_id: str | None = None
) -> CommandLine:
    """Return the process of `throughline rejects replay`. Each value may be a template that Airflow renders."""
    words = ["--source", source]
    for option, value in (("--run-id", run_id), ("--reason", reason), ("--from", first)):
        words += [option, value] if value else []
    words += ["--dry-run"] if is_dry_run else []
    return CommandLine("replay", (sys.executable, "-m", "pipeline", "rejects", "replay", *words))


def tables_command() -> CommandLine:
    return job_command("tables")


def register_command(backup: Path) -> CommandLine:
    """Return the process that registers the tables of a restored home. backup: the folder that it was restored from."""
    return job_command("register", "--backup", str(backup))


def maintain_command(run_id: str | None = None) -> CommandLine:
    """Return the process of `throughline maintain`. The run id may be a template that Airflow renders."""
    return job_command("maintain", *(("--run-id", run_id) if run_id else ()))


def retain_command(run_id: str | None = None) -> CommandLine:
    """Return the process of `throughline retain`. The run id may be a template that Airflow renders."""
    return job_command("retain", *(("--run-id", run_id) if run_id else ()))


def erase_command(request: str | None, source: str | None, is_dry_run: bool, run_id: str | None = None) -> CommandLine:
    """Return the process of `throughline erase`; without a request it goes on with one that has begun.

    Each value may be a template that Airflow renders. request: a path, or the name of a file in the drop folder.
    """
    words = ["--request", request] if request else ["--resume"]
    for option, value in (("--source", source), ("--run-id", run_id)):
        words += [option, value] if value else []
    return job_command("erase", *words, *(("--dry-run",) if is_dry_run else ()))


def step_commands(
    step: str, days: DayRange, run_id: str | None = None, score_all: bool = False, model: str = NEWEST_MODEL
) -> list[CommandLine]:
    """Return the processes of a step, in order. A range of days is one process per task, not a loop.

    model: `as-of` (the newest version promoted that was trained through the day or before), `none` (the built-in
    counts), or a version.
    """
    run_id = run_id or default_run_id(days.last)
    is_one_day = days.first == days.last
    which = ("--day", str(days.last)) if is_one_day else ("--from", str(days.first), "--to", str(days.last))
    score = score_arguments(str(days.first), str(days.last), branch_of(days.last), run_id, model)
    return [
        model_command(*score, *(("--all",) if score_all else ()))
        if task == "score"
        else job_command(task, *which, "--run-id", run_id)
        for task in STEPS[step].tasks
    ]


def clusters_command(through: date) -> CommandLine:
    """Return the process that clusters items by the events known through a day."""
    return job_command("clusters", "--through", str(through), "--run-id", clusters_run_id(through))


def train_command(
    through: date, run_id: str | None = None, promote: bool = True, decoder: str | None = None
) -> CommandLine:
    """Return the process that trains challengers on the data known through a day and promotes one that wins."""
    name = f"training_{through:%Y%m%d}" + (f"_{decoder}" if decoder else "")
    train = train_arguments(str(through), run_id or name)
    more = ("--decoder", decoder) if decoder else ()
    return model_command(*train, *(() if promote else ("--no-promote",)), *more)


def evaluate_command(
    as_of: date, horizon_days: int, run_id: str | None = None, with_transformer: bool = False
) -> CommandLine:
    """Return the process that evaluates models on what users did in the days after `as_of`."""
    run_id = run_id or f"evaluation_{as_of:%Y%m%d}"
    more = ("--transformer",) if with_transformer else ()
    return model_command(
        "evaluate", "--as-of", str(as_of), "--horizon-days", str(horizon_days), "--run-id", run_id, *more
    )


def score_arguments(first: str, last: str, branch: str, run_id: str, model: str) -> tuple[str, ...]:
    """Return the arguments of `python -m model` for scoring. Each value may be a template that Airflow renders."""
    return ("score", "--from", first, "--to", last, "--branch", branch, "--run-id", run_id, "--model", model)


def train_arguments(through: str, run_id: str) -> tuple[str, ...]:
    """Return the arguments of `python -m model` for training. Each value may be a template that Airflow renders."""
    return ("train", "--through", through, "--run-id", run_id)


def submit_arguments(job: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line by which spark-submit runs a job in a process of its own."""
    submit = Path(sys.executable).parent / "spark-submit"
    return str(submit), "--name", job, str(job_file(job)), *arguments


def job_file(job: str) -> Path:
    """Return the file that spark-submit runs for a job."""
    return ROOT / "pipeline" / "jobs" / f"{job}.py"


def step_environment(settings: Settings) -> Mapping[str, str]:
    """Return the environment of a step: Java, the configuration of Spark and PyIceberg, the settings of the model."""
    conf = str(conf_folder(settings))
    return {
        **os.environ,
        "THROUGHLINE_HOME": str(settings.home),
        **({"JAVA_HOME": str(find_java(settings).home)} if has_spark() else {}),
        "SPARK_CONF_DIR": conf,
        **pyiceberg_environment(settings),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        "THROUGHLINE_EXCHANGE": settings.exchange,
        "THROUGHLINE_MODELS": settings.models,
        **({"THROUGHLINE_REGISTRY_URL": settings.registry_url.get_secret_value()} if settings.registry_url else {}),
        "THROUGHLINE_HORIZON_DAYS": str(settings.horizon_days),
        "THROUGHLINE_TRANSFORMER_SIZE": settings.transformer_size,
        "THROUGHLINE_TRAIN_RANKS": str(settings.train_ranks),
    }


def job_command(job: str, *arguments: str) -> CommandLine:
    """Return the process that runs a Spark job. Each argument may be a template that Airflow renders."""
    return CommandLine(job, (sys.executable, "-m", "pipeline.jobs", job, *arguments), f"pipeline.jobs.{job}", arguments)


def model_command(command: str, *arguments: str) -> CommandLine:
    """Return the process that runs a command of the model. Each argument may be a template that Airflow renders."""
    words = (command, *arguments)
    is_short = command == "score"  # training and evaluation get all memory back when their process ends
    return CommandLine(command, (sys.executable, "-m", "model", *words), "model.__main__" if is_short else "", words)
