"""What the commands of the terminal share: make ready, run steps one after the other, open the catalog."""

import os
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
from pipeline.analyst import release
from pipeline.days import DayRange
from pipeline.local.airflow_config import OPERATOR, address, logs_folder, password
from pipeline.local.preflight import run_preflight
from pipeline.local.spark_config import (
    QUICK_JVM,
    class_archive,
    conf_folder,
    fetched_jars,
    is_archive_fresh,
    is_one_machine,
    recording_options,
    write_configuration,
)
from pipeline.runner.commands import (
    NEWEST_MODEL,
    CommandLine,
    classes_command,
    clusters_command,
    step_commands,
    step_environment,
    tables_command,
)
from pipeline.runner.process import StepFailed, run_command
from pipeline.settings import Settings, load_settings
from pipeline.warehouse.lease import Lease
from pipeline.warehouse.tables import clusters_run_id, default_run_id


def prepare_environment(console: Console) -> Settings:
    """See that all is there that a step needs; on the first start, fetch Spark's jars and create the tables."""
    settings = load_settings()
    run_preflight(settings)
    if not fetched_jars(settings):
        console.print(
            "first start: fetching Spark's Iceberg and PostgreSQL jars (50 MB), kept in THROUGHLINE_HOME/jars"
        )
        run_all([tables_command()], settings, console, "setup")
        write_configuration(settings)
    if is_one_machine(settings) and not is_archive_fresh(settings):
        _keep_classes(settings, console)
    return settings


def _keep_classes(settings: Settings, console: Console) -> None:
    """Let a JVM record the classes of a night in small. Steps go well without, so a failure is a warning."""
    console.print("first start: keeping the classes of Spark's JVM at hand (200 MB), so that later starts are quicker")
    file = class_archive(settings)
    recorded = file.with_suffix(f".{os.getpid()}")
    file.unlink(missing_ok=True)  # of another JDK or other jars
    write_configuration(settings)
    try:
        run_all([classes_command(QUICK_JVM + recording_options(recorded))], settings, console, "setup")
        recorded.replace(file)
    except (StepFailed, OSError) as failure:
        console.print(
            f"[yellow]warning:[/] each step starts more slowly than it could: {failure}\n"
            f"  to have it tried again: rm {file}",
            highlight=False,
        )
        file.touch()
    finally:
        recorded.unlink(missing_ok=True)
    write_configuration(settings)


def run_all(commands: Sequence[CommandLine], settings: Settings, console: Console, log_name: str) -> None:
    """Run processes one after the other, each with a log of its own; stop at the first that fails."""
    environment = step_environment(settings)
    for command in commands:
        run_command(command, environment, settings.home / "logs" / log_name / f"{command.label}.log", console)


def run_night(
    steps: Sequence[str],
    days: DayRange,
    run_id: str | None,
    settings: Settings,
    console: Console,
    score_all: bool = False,
    model: str = NEWEST_MODEL,
    before: Sequence[CommandLine] = (),
) -> None:
    """Run steps of a night one after the other, and keep the lease alive between them.

    before: processes to run before the steps.
    """
    run_id = run_id or default_run_id(days.last)
    of_steps = [command for step in steps for command in step_commands(step, days, run_id, score_all, model)]
    _run_under_lease([*before, *of_steps], Lease(settings, run_id, days.last), settings, console, str(days.last))


def run_clusters(through: date, settings: Settings, console: Console) -> None:
    """Train a version of item clusters, in the place of a night."""
    lease = Lease(settings, clusters_run_id(through), through)
    _run_under_lease([clusters_command(through)], lease, settings, console, f"clusters-{through}")


def _run_under_lease(
    commands: Sequence[CommandLine], lease: Lease, settings: Settings, console: Console, log_name: str
) -> None:
    """Run processes that write. Nothing is tried again here, so a failure frees the lease for whoever comes next."""
    try:
        with lease.renewed():
            run_all(commands, settings, console, log_name)
    except BaseException:
        lease.free()
        raise


def airflow_login_info(settings: Settings) -> str:
    """Return where the web UI is and how to log in."""
    return (
        f"  web UI  [bold]{address(settings)}[/]  user [bold]{OPERATOR}[/]  password [bold]{password(settings)}[/]\n"
        f"  logs    {logs_folder(settings)}"
    )


def open_catalog(console: Console) -> "Catalog":
    """Open the Iceberg catalog for reading."""
    settings = prepare_environment(console)
    # PyIceberg reads this once, when it is imported, which `analyst.release` puts off until it opens the catalog.
    os.environ["PYICEBERG_HOME"] = str(conf_folder(settings))
    return release.open_catalog()
