"""The steps of a night as tasks, from the command lines of the terminal (`pipeline.runner.commands`)."""

import ast
import shlex
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator

from orchestration.alerts import task_failed
from orchestration.days import resolve_day, resolve_last_day, step_run_id
from orchestration.operators import CommandStep, SparkStep, free_lease
from orchestration.retries import RetryByExitCode
from pipeline.runner.commands import job_file, score_arguments, train_arguments
from pipeline.settings import ROOT
from pipeline.warehouse.tables import branch_of

MODEL = f"exec {shlex.quote(sys.executable)} -m model"  # exec, so that a signal reaches it
MACROS = {
    "resolve_day": resolve_day,
    "resolve_last_day": resolve_last_day,
    "step_run_id": step_run_id,
    "branch_of": branch_of,
}
DAY = "{{ resolve_day(dag_run, params) }}"
RUN_ID = "{{ step_run_id(dag_run) }}"
LAST_DAY = "{{ resolve_last_day(dag_run, params) }}"
BRANCH = "{{ branch_of(resolve_day(dag_run, params)) }}"

STEP_DEFAULTS: dict[str, Any] = {
    "owner": "throughline",
    "retries": 2,
    "retry_delay": timedelta(minutes=1),  # shorter than the silence after which a lease is taken over
    "retry_policy": RetryByExitCode(),
    "execution_timeout": timedelta(hours=6),
    "on_failure_callback": [free_lease, task_failed],
}


def spark_step(job: str, **options: Any) -> SparkStep:
    """Return the task of a Spark job; job, task id and the name of the Spark application are one string."""
    return SparkStep(
        task_id=job,
        name=job,
        application=str(job_file(job)),
        application_args=["--day", DAY, "--run-id", RUN_ID],
        pool="spark",
        doc_md=docs_of(job_file(job)),
        **options,
    )


def score_step() -> CommandStep:
    """Return the task in which the model scores; it needs no Spark, and may have an accelerator."""
    night = " ".join(score_arguments(DAY, DAY, BRANCH, RUN_ID, "{{ params.model }}"))
    everybody = "{{ ' --all' if params.everybody else '' }}"
    return CommandStep(
        task_id="score",
        bash_command=f"{MODEL} {night}{everybody}",
        pool="gpu",
        doc_md=docs_of(ROOT / "model" / "__main__.py", "score"),
    )


def train_step() -> BashOperator:
    """Return the task that trains; it commits nothing to the warehouse, so it needs no lease."""
    training = " ".join(train_arguments(LAST_DAY, RUN_ID))
    promotion = "{{ '' if params.promote else ' --no-promote' }}"
    return BashOperator(
        task_id="train",
        bash_command=f"{MODEL} {training}{promotion}",
        pool="gpu",
        on_failure_callback=[task_failed],
        doc_md=docs_of(ROOT / "model" / "__main__.py", "train"),
    )


def docs_of(file: Path, function: str | None = None) -> str:
    """Return the docstring of a module, or of a function in it, without importing it."""
    tree: Any = ast.parse(file.read_text(encoding="utf-8"))
    if function:
        tree = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return ast.get_docstring(tree) or ""
