"""Airflow on this machine: four background processes on loopback, with their database in the local PostgreSQL."""

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from pipeline.errors import ThroughlineError
from pipeline.local import airflow_config as configuration
from pipeline.local import postgres
from pipeline.local.airflow_client import unhealthy_parts
from pipeline.local.processes import Background, stop
from pipeline.settings import Settings

# No log servers: they would listen on all addresses, and here the web UI reads the log files itself.
COMPONENTS = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
START_SECONDS = 180.0


def airflow_program() -> Path:
    """Return the command `airflow` of this environment. Raises ThroughlineError if it is not installed."""
    program = Path(sys.executable).parent / "airflow"
    if find_spec("airflow") is None or not program.is_file():
        raise ThroughlineError(
            f"Airflow is not installed in {sys.prefix}: `make setup` installs it; "
            f"without Airflow, `throughline run --day D` runs a night in the terminal"
        )
    return program


def is_up(settings: Settings) -> bool:
    """Return whether all four processes run."""
    return all(background.find() for background in _backgrounds(settings))


def start_airflow(settings: Settings, console: Console) -> bool:
    """Start the processes that are down, and wait until all are healthy; return whether any was started.

    Starts the local PostgreSQL for Airflow's database.
    Raises ThroughlineError if a process ends, with the last lines of its log.
    """
    program = airflow_program()
    backgrounds = _backgrounds(settings)
    missing = [background for background in backgrounds if not background.find()]
    if missing == backgrounds:
        postgres.start(settings)
        postgres.refuse_busy_port(settings.airflow_port, "Airflow's web UI", "THROUGHLINE_AIRFLOW_PORT")
        postgres.create_database(settings, configuration.DATABASE)
        configuration.write_airflow_configuration(settings)
        with console.status("Airflow: preparing database and pools"):
            run_airflow(settings, "db", "migrate")
            run_airflow(settings, "pools", "import", str(configuration.pools_file(settings)))
    environment = configuration.airflow_environment(settings)
    stop(missing)  # what outlived a killed one: workers of a scheduler, whose tasks run again
    for background in missing:
        background.start([str(program), background.name, *COMPONENTS[background.name]], environment)
    with console.status("Airflow: waiting for its processes"):
        _wait_until_healthy(settings)
    return bool(missing)


def stop_airflow(settings: Settings) -> bool:
    """Stop all processes, running tasks included; return whether any was running."""
    return bool(stop(_backgrounds(settings)))


def run_airflow(settings: Settings, *arguments: str) -> str:
    """Run one command of Airflow's command line; return what it printed.

    Raises ThroughlineError with its last lines if it fails.
    """
    done = subprocess.run(
        [str(airflow_program()), *arguments],
        env=dict(configuration.airflow_environment(settings)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise ThroughlineError(f"`airflow {' '.join(arguments)}` ended with exit code {done.returncode}: {last}")
    return done.stdout


def _backgrounds(settings: Settings) -> list[Background]:
    records = configuration.airflow_home(settings) / "processes"
    logs = configuration.logs_folder(settings)
    return [Background(name, records / f"{name}.json", logs / f"{name}.log") for name in COMPONENTS]


def _wait_until_healthy(settings: Settings) -> None:
    until = time.monotonic() + START_SECONDS
    while unhealthy := unhealthy_parts(settings):
        for background in _backgrounds(settings):
            if not background.find():
                last = background.last_lines()
                stop_airflow(settings)
                raise ThroughlineError(f"Airflow's {background.name} ended: {last}; its log: {background.log}")
        if time.monotonic() >= until:
            raise ThroughlineError(
                f"after {START_SECONDS:.0f} s these parts of Airflow are not healthy: {', '.join(unhealthy)}; "
                f"logs are in {configuration.logs_folder(settings)}; `make down` stops Airflow"
            )
        time.sleep(1)
