"""Airflow on this machine: its four processes in the background, on loopback only, on the embedded PostgreSQL."""

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from pipeline.errors import ThroughlineError
from pipeline.local import airflow_config as configuration
from pipeline.local import postgres
from pipeline.local.airflow_client import OPENER
from pipeline.local.processes import Background, stop
from pipeline.settings import Settings

# Without their servers for logs, which would listen on all addresses: here the web UI reads the files itself.
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
            f"without it `throughline run --day D` runs the night in the terminal"
        )
    return program


def is_up(settings: Settings) -> bool:
    """True where all four processes run."""
    return all(background.find() for background in _backgrounds(settings))


def start_airflow(settings: Settings, console: Console) -> bool:
    """Start what does not run yet, and wait until all of it says that it is well; return whether anything was started.

    Needs the embedded PostgreSQL up. Raises ThroughlineError with the last words of a process that ended.
    """
    program = airflow_program()
    backgrounds = _backgrounds(settings)
    missing = [background for background in backgrounds if not background.find()]
    if missing == backgrounds:
        postgres.refuse_busy_port(settings.airflow_port, "Airflow's web UI", "THROUGHLINE_AIRFLOW_PORT")
        postgres.create_database(settings, configuration.DATABASE)
        configuration.write_airflow_configuration(settings)
        with console.status("Airflow: database and pools"):
            run_airflow(settings, "db", "migrate")
            run_airflow(settings, "pools", "import", str(configuration.pools_file(settings)))
    environment = configuration.airflow_environment(settings)
    for background in missing:
        background.start([str(program), background.name, *COMPONENTS[background.name]], environment)
    with console.status("Airflow: waiting for its processes"):
        _wait_until_well(settings)
    return bool(missing)


def stop_airflow(settings: Settings) -> bool:
    """Stop all of it, running tasks included; return whether anything ran."""
    return bool(stop(_backgrounds(settings)))


def run_airflow(settings: Settings, *arguments: str) -> str:
    """Run one command of Airflow's own to its end; return what it printed.

    Raises ThroughlineError with its last words if it fails.
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


def _wait_until_well(settings: Settings) -> None:
    until = time.monotonic() + START_SECONDS
    while unwell := _unwell(settings):
        for background in _backgrounds(settings):
            if not background.find():
                told = background.last_words()
                stop_airflow(settings)
                raise ThroughlineError(f"Airflow's {background.name} ended at once: {told}; its log: {background.log}")
        if time.monotonic() >= until:
            raise ThroughlineError(
                f"Airflow is not well after {START_SECONDS:.0f} s: {', '.join(unwell)} not healthy; "
                f"logs in {configuration.logs_folder(settings)}; `make down` stops it"
            )
        time.sleep(1)


def _unwell(settings: Settings) -> list[str]:
    """Return the names of the parts that do not say that they are healthy."""
    try:
        with OPENER.open(f"{configuration.address(settings)}/api/v2/monitor/health", timeout=5) as answer:
            told = json.load(answer)
    except (OSError, ValueError):
        return ["api-server"]
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return [part for part in parts if (told.get(part) or {}).get("status") != "healthy"]
