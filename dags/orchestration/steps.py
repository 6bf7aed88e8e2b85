"""The tasks of the DAGs, made from the command lines of the terminal (`pipeline.runner.commands`)."""

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, RetryDecision, RetryPolicy
from jinja2 import StrictUndefined

from orchestration.alerts import error_message_in, task_failed
from orchestration.days import resolve_day, resolve_last_day, step_run_id
from orchestration.operators import Command, PublishCommand, StepCommand, free_lease
from pipeline.errors import InputError, UsageError
from pipeline.runner.commands import (
    TASKS,
    erase_command,
    job_command,
    job_file,
    maintain_command,
    model_command,
    replay_command,
    retain_command,
    score_arguments,
    train_arguments,
)
from pipeline.settings import ROOT, load_settings
from pipeline.warehouse.names import NIGHT_TABLES, branch_of

DAY = "{{ resolve_day(dag_run, params) }}"
RUN_ID = "{{ step_run_id(dag_run) }}"
LAST_DAY = "{{ resolve_last_day(dag_run, params) }}"
BRANCH = "{{ branch_of(resolve_day(dag_run, params)) }}"

ASSETS = [
    Asset(name=f"interest.{name}", uri=f"throughline://interest/{name}", group="interest")
    for name in NIGHT_TABLES
    if name != "runs"
]
EXIT_CODE = re.compile(r"ended with exit code (-?\d+)")
FINAL = {InputError.exit_code: "the input or a gate failed", UsageError.exit_code: "the command has wrong arguments"}


class RetryByExitCode(RetryPolicy):
    """Retries a failed step unless its exit code says that a retry cannot help."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide by the exception of a failed task."""
        if isinstance(exception, InputError | UsageError):
            return RetryDecision.fail(reason=f"{FINAL[exception.exit_code]}: a retry cannot help")
        text = str(exception)
        code = EXIT_CODE.search(text)
        reason = FINAL.get(int(code[1])) if code else None
        # A JVM that cannot start ends with 1 too, but without an error message of ours.
        is_jvm_failure = code is not None and code[1] == "1" and error_message_in(text) is None
        if reason is None or is_jvm_failure:
            return RetryDecision.default()
        return RetryDecision.fail(reason=f"{reason}: a retry cannot help")

    def serialize(self) -> dict[str, Any]:
        """Return the settings that Airflow stores: none."""
        return {}


STEP_DEFAULTS: dict[str, Any] = {
    "owner": "throughline",
    "retries": 2,
    "retry_delay": timedelta(minutes=1),  # shorter than the silence after which another run takes the lease
    "retry_policy": RetryByExitCode(),
    "execution_timeout": timedelta(hours=6),
    "on_failure_callback": [free_lease, task_failed],
}

MACROS = {
    "resolve_day": resolve_day,
    "resolve_last_day": resolve_last_day,
    "step_run_id": step_run_id,
    "branch_of": branch_of,
}
DAG_DEFAULTS: dict[str, Any] = {
    "start_date": datetime(2010, 1, 1, tzinfo=UTC),  # early, since no backfill can begin before it
    "catchup": False,
    "max_active_runs": 1,  # of scheduled runs; backfills take turns by the lease
    "default_args": STEP_DEFAULTS,
    "user_defined_macros": MACROS,
    "template_undefined": StrictUndefined,
}


def night_tasks() -> list[Any]:
    """Return the tasks of a night, in order."""
    publish = {"operator": PublishCommand, "outlets": ASSETS, "post_execute": emit_publication}
    options: dict[str, dict[str, Any]] = {"publish": publish}
    return [score_task() if task == "score" else job_task(task, **options.get(task, {})) for task in TASKS]


def job_task(job: str, operator: type[StepCommand] = StepCommand, **options: Any) -> StepCommand:
    """Return the task of a Spark job. Job and task id have one name."""
    return operator(
        task_id=job,
        command=job_command(job, "--day", DAY, "--run-id", RUN_ID).arguments,
        pool="spark",
        doc_md=docs_of(job_file(job)),
        **options,
    )


def score_task() -> Any:
    """Return the task in which the model scores. It needs no Spark, and uses an accelerator if there is one.

    With the setting `score_parts` it is mapped: each task scores a part of the users.
    """
    arguments = score_arguments(DAY, DAY, BRANCH, RUN_ID, "{{ params.model }}")
    options = {
        "task_id": "score",
        "command": [*model_command(*arguments).arguments, "{{ '--all' if params.all_users else '' }}"],
        "doc_md": docs_of(ROOT / "model" / "__main__.py", "score"),
        **_on_gpu(),
    }
    count = load_settings().score_parts
    if count == 1:
        return StepCommand(**options)
    parts = [["--part", f"{number}/{count}"] for number in range(1, count + 1)]
    return StepCommand.partial(map_index_template="{{ task.part[1] }}", **options).expand(part=parts)


def train_task() -> Command:
    """Return the task that trains. It needs no lease, since it commits nothing to the warehouse."""
    arguments = model_command(*train_arguments(LAST_DAY, RUN_ID)).arguments
    return Command(
        task_id="train",
        command=[*arguments, "{{ '' if params.promote else '--no-promote' }}"],
        execution_timeout=timedelta(hours=24),
        on_failure_callback=[task_failed],
        doc_md=docs_of(ROOT / "model" / "__main__.py", "train"),
        **_on_gpu(),
    )


def _on_gpu() -> dict[str, str]:
    """Return pool and queue of a task of the model. An executor without queues ignores the queue."""
    queue = load_settings().gpu_queue
    return {"pool": "gpu", **({"queue": queue} if queue else {})}


def replay_task() -> StepCommand:
    """Return the task that replays rejected lines. It holds the lease as a night does, so no night comes between."""
    # An option without a value renders as an empty word, which the task leaves out.
    options = {"--reason": "params.reason", "--from": "params.first_day"}
    optional = [
        f"{{{{ {word} if {value} else '' }}}}" for option, value in options.items() for word in (f"'{option}'", value)
    ]
    return StepCommand(
        task_id="replay",
        command=[
            *replay_command("{{ params.source }}", None, None, False, RUN_ID).arguments,
            *optional,
            "{{ '--dry-run' if params.dry_run else '' }}",
        ],
        pool="spark",
        on_success_callback=[free_lease],  # a dry run takes it too
        doc_md=docs_of(ROOT / "pipeline" / "runner" / "replay.py", "replay_rejects"),
    )


def erase_task() -> StepCommand:
    """Return the task that erases people."""
    # An option without a value renders as an empty word, which the task leaves out.
    source = [f"{{{{ {word} if params.source else '' }}}}" for word in ("'--source'", "params.source")]
    command = erase_command("{{ params.request }}", None, False, RUN_ID).arguments
    return _upkeep_task("erase", (*command, *source, "{{ '--dry-run' if params.dry_run else '' }}"))


def retain_task() -> StepCommand:
    """Return the task that deletes what is older than the settings allow."""
    return _upkeep_task("retain", retain_command(RUN_ID).arguments)


def maintain_task() -> StepCommand:
    """Return the task that maintains the tables."""
    return _upkeep_task("maintain", maintain_command(RUN_ID).arguments)


def _upkeep_task(job: str, command: tuple[str, ...]) -> StepCommand:
    """Return the task of a job that holds the lease, so that no night writes meanwhile."""
    return StepCommand(task_id=job, command=command, pool="spark", doc_md=docs_of(job_file(job)))


def emit_publication(context: Any, result: Any = None) -> None:
    """Write the day, and each table's snapshot id and row count, into the asset events of the task `publish`."""
    # Imported here: PyIceberg is too heavy for a file that Airflow parses often.
    from pipeline.analyst.release import newest_release, open_catalog, row_count

    catalog = open_catalog()
    release = newest_release(catalog, resolve_day(context["dag_run"], context["params"]))
    for asset in ASSETS:
        name = asset.name.removeprefix("interest.")
        context["outlet_events"][asset].extra = {
            "as_of": release.as_of.isoformat(),
            "run_id": release.run_id,
            "snapshot_id": str(release.snapshots[name]),  # text, since a browser rounds such large numbers
            "rows": row_count(catalog, release, name),
        }


def docs_of(file: Path, function: str | None = None) -> str:
    """Return the docstring of a module, or of a function in it, without importing it."""
    tree: Any = ast.parse(file.read_text(encoding="utf-8"))
    if function:
        tree = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return ast.get_docstring(tree) or ""
