"""Let the local Airflow backfill some nights, and show their progress."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.days import DayRange
from pipeline.errors import ThroughlineError
from pipeline.local.airflow import start_airflow
from pipeline.local.airflow_client import AirflowApi
from pipeline.local.airflow_config import address, logs_folder
from pipeline.settings import Settings

NIGHTLY = "interest_nightly"
PARSE_SECONDS = 120.0
POLL_SECONDS = 2.0


def run_nights(days: DayRange, settings: Settings, console: Console) -> None:
    """Start Airflow if it is down, unpause the nightly DAG and backfill `days`; return when all runs have succeeded.

    Raises ThroughlineError naming the failed tasks and their logs.
    """
    start_airflow(settings, console)
    api = AirflowApi(settings)
    until = time.monotonic() + PARSE_SECONDS
    while not api.has_dag(NIGHTLY):
        if time.monotonic() >= until:
            raise ThroughlineError(
                f"Airflow has not read the DAG {NIGHTLY} within {PARSE_SECONDS:.0f} s: "
                f"`throughline airflow dags list-import-errors` says why"
            )
        time.sleep(POLL_SECONDS)
    api.unpause(NIGHTLY)
    console.print(f"Airflow backfills {days}; watch it at {address(settings)}")
    for day, run_id in zip(days, api.backfill(NIGHTLY, days), strict=True):
        started = time.monotonic()
        _wait(api, run_id, f"night of {day}", settings, console)
        console.print(
            f"[green]✓[/] night of {day} [dim]{time.monotonic() - started:.0f} s[/]", highlight=False, markup=True
        )


def _wait(api: AirflowApi, run_id: str, label: str, settings: Settings, console: Console) -> None:
    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[running]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(label, total=None, running="")
        while (state := api.run_state(NIGHTLY, run_id)) in ("queued", "running"):
            tasks = api.task_states(NIGHTLY, run_id)
            running = next(
                (task for task, of_task in tasks.items() if of_task in ("running", "deferred", "queued")), ""
            )
            done = sum(of_task == "success" for of_task in tasks.values())
            progress.update(bar, total=len(tasks), completed=done, running=running)
            time.sleep(POLL_SECONDS)
    if state != "success":
        failed = [task for task, of_task in api.task_states(NIGHTLY, run_id).items() if of_task == "failed"]
        raise ThroughlineError(
            f"the {label} failed in {', '.join(failed) or 'no task'}: its log gives the reason, in the web UI at "
            f"{address(settings)} or in {logs_folder(settings)}/dag_id={NIGHTLY}/run_id={run_id}"
        )
