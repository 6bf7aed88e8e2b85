"""What the commands of the terminal share: prepare the environment, run steps under the lease, open the catalog."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from pipeline.days import DayRange
from pipeline.landing.log_days import days_of_log, left_out
from pipeline.landing.zone import LandingZone
from pipeline.local.airflow_config import OPERATOR, address, logs_folder, password
from pipeline.local.install_jars import install_jars
from pipeline.local.preflight import run_preflight
from pipeline.local.scratch import delete_ended
from pipeline.local.spark_config import (
    JARS_FOR_FILES_IN_S3,
    fetched_jars,
    is_one_machine,
    needed_jars,
    pyiceberg_environment,
    write_configuration,
)
from pipeline.runner.commands import (
    NEWEST_MODEL,
    CommandLine,
    clusters_command,
    step_commands,
    step_environment,
    tables_command,
)
from pipeline.runner.process import can_connect, import_in_background, run_command, run_in_process
from pipeline.settings import Settings, load_settings
from pipeline.warehouse.lease import open_lease, with_token
from pipeline.warehouse.names import clusters_run_id, default_run_id

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


def prepare_environment(console: Console) -> Settings:
    """Check the machine and start what a step needs. The first start fetches Spark's jars and creates the tables."""
    settings = load_settings()
    java = run_preflight(settings)
    if not fetched_jars(settings):
        console.print(f"first start: Spark runs on Java {java}", highlight=False)
        run_first_job(tables_command(), settings, console)
    return settings


def run_first_job(command: CommandLine, settings: Settings, console: Console) -> None:
    """Run the first Spark job of a home, which fetches Spark's jars unless they are there."""
    if not fetched_jars(settings):
        console.print(
            f"first start: fetching Spark's jars ({110 if settings.uses_s3 else 50} MB) into THROUGHLINE_HOME/jars"
        )
        # On a cluster Spark's driver and executors fetch the others themselves.
        of_cluster = JARS_FOR_FILES_IN_S3 if settings.uses_s3 else ()
        wanted = needed_jars(settings) if is_one_machine(settings) else of_cluster
        install_jars(settings.home / "jars" / "jars", wanted)
        write_configuration(settings)
    run_all([command], settings, console, "setup")
    write_configuration(settings)


def run_all(commands: Sequence[CommandLine], settings: Settings, console: Console, log_name: str) -> None:
    """Run commands one after the other, each with its own log; stop at the first that fails.

    Commands that have a module run inside this process if Spark jobs are clients of a Spark Connect server.
    """
    environment = step_environment(settings)
    modules = [command.module for command in commands if command.module]
    in_process = bool(modules) and can_connect(settings)
    if in_process:
        os.environ.update(environment)
        import_in_background(modules)
    try:
        for command in commands:
            log = settings.home / "logs" / log_name / f"{command.label}.log"
            if in_process and command.module:
                run_in_process(command, log, console)
            else:
                run_command(command, environment, log, console)
    finally:
        delete_ended(settings)


def run_night(
    steps: Iterable[str],
    days: DayRange,
    run_id: str | None,
    settings: Settings,
    console: Console,
    score_all: bool = False,
    model: str = NEWEST_MODEL,
    before: Sequence[CommandLine] = (),
) -> None:
    """Run steps of a night one after the other, and renew the lease between them.

    before: processes to run before the steps.
    """
    run_id = run_id or default_run_id(days.last)
    of_steps = [command for step in steps for command in step_commands(step, days, run_id, score_all, model)]
    with _lease_of_run(settings, run_id, days.last):
        run_all([*before, *of_steps], settings, console, str(days.last))


def run_parts(wanted: DayRange, settings: Settings, console: Console) -> list[DayRange]:
    """Return the parts of a range that hold the log, to run one after another; print which days are left out."""
    zone = LandingZone(settings.landing_folder)
    landed = {day for source in zone.sources() for day, one in zone.days(source).items() if one.lines}
    parts = days_of_log(wanted, landed)
    if found := left_out(wanted, parts):
        console.print(found, soft_wrap=True)
    return parts


def run_clusters(through: date, settings: Settings, console: Console) -> None:
    """Train a version of item clusters under the lease, as a night does."""
    with _lease_of_run(settings, clusters_run_id(through), through):
        run_all([clusters_command(through)], settings, console, f"clusters-{through}")


@contextmanager
def _lease_of_run(settings: Settings, run_id: str, day: date) -> Iterator[None]:
    """Renew the lease during the block. The terminal does not retry, so a failure frees it for the next run."""
    with with_token():
        lease = open_lease(settings, run_id, day)
        try:
            with lease.renewed():
                yield
            lease.leave_to_run()
        except BaseException:
            lease.free()
            raise


def airflow_login_info(settings: Settings) -> str:
    """Return where the web UI is and how to log in."""
    login = f"user [bold]{OPERATOR}[/]  password [bold]{escape(password(settings))}[/]"
    return f"  web UI  [bold]{address(settings)}[/]  {login}\n  logs    {escape(str(logs_folder(settings)))}"


def open_catalog(console: Console) -> "Catalog":
    """Open the Iceberg catalog for reading."""
    settings = prepare_environment(console)
    os.environ.update(pyiceberg_environment(settings))
    from pipeline.analyst import release  # PyIceberg reads its environment when it is imported

    return release.open_catalog()
