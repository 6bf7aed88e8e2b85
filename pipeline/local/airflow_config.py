"""Airflow's configuration: `airflow.cfg`, the pools, the operator's password and the environment.

The files are in `<home>/airflow`, which is AIRFLOW_HOME. They hold secrets, so they are mode 600.
"""

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.files import write_private, write_whole
from pipeline.local import postgres
from pipeline.runner.commands import step_environment
from pipeline.settings import ROOT, Settings

DATABASE = "airflow"
OPERATOR = "operator"
DAGS = ROOT / "dags"

# How many tasks run at once. A pool lets one Spark job run at a time; the lease lets one night write at a time.
POOLS = {
    "spark": {"slots": 1, "description": "Spark jobs: one at a time on this machine", "include_deferred": False},
    "gpu": {"slots": 1, "description": "Scoring and training, on an accelerator or the CPU", "include_deferred": True},
    "maintenance": {"slots": 1, "description": "Compaction, erasure, replays", "include_deferred": False},
}


def airflow_home(settings: Settings) -> Path:
    return settings.home / "airflow"


def logs_folder(settings: Settings) -> Path:
    return settings.home / "logs" / "airflow"


def address(settings: Settings) -> str:
    return f"http://{postgres.HOST}:{settings.airflow_port}"


def pools_file(settings: Settings) -> Path:
    return airflow_home(settings) / "pools.json"


def password(settings: Settings) -> str:
    """Return the password of the user `operator`. The first call makes it."""
    file = passwords_file(settings)
    if not file.is_file():
        write_private(file, json.dumps({OPERATOR: secrets.token_urlsafe(12)}))
    return str(json.loads(file.read_text())[OPERATOR])


def write_airflow_configuration(settings: Settings) -> None:
    """Write `airflow.cfg` and the pools from the settings."""
    password(settings)
    sections = [
        f"[{section}]\n" + "\n".join(f"{key} = {value}" for key, value in options.items())
        for section, options in _options(settings).items()
    ]
    # In airflow.cfg a single percent sign begins a reference.
    write_private(airflow_home(settings) / "airflow.cfg", "\n\n".join(sections).replace("%", "%%") + "\n")
    write_whole(pools_file(settings), json.dumps(POOLS, indent=2))


def airflow_environment(settings: Settings) -> Mapping[str, str]:
    """Return the environment of Airflow and of its tasks: that of a step, plus Airflow's home and paths."""
    step = step_environment(settings)
    return {
        **{name: value for name, value in step.items() if not name.startswith("AIRFLOW__")},
        "AIRFLOW_HOME": str(airflow_home(settings)),
        # Processes that parse no DAG import triggers and callbacks.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(DAGS), step.get("PYTHONPATH", "")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), step.get("PATH", os.defpath)]),
    }


def _options(settings: Settings) -> dict[str, dict[str, object]]:
    keys = _keys(settings)
    database = postgres.url(settings, DATABASE).replace("postgresql://", "postgresql+psycopg://")
    return {
        "core": {
            "dags_folder": DAGS,
            "plugins_folder": DAGS / "plugins",
            "executor": "LocalExecutor",
            "parallelism": 4,  # LocalExecutor starts 32 workers by default
            "load_examples": False,
            "fernet_key": keys["fernet_key"],
            "execution_api_server_url": f"{address(settings)}/execution/",
            "simple_auth_manager_users": f"{OPERATOR}:admin",
            "simple_auth_manager_passwords_file": passwords_file(settings),
        },
        # One driver for both: the one that Airflow picks for `async` is not installed.
        "database": {"sql_alchemy_conn": database, "sql_alchemy_conn_async": database},
        "api": {
            "base_url": address(settings),
            "host": postgres.HOST,
            "port": settings.airflow_port,
            "workers": 1,
            "secret_key": keys["secret_key"],
            "instance_name": "Throughline",
        },
        "api_auth": {"jwt_secret": keys["jwt_secret"]},
        "dag_processor": {"refresh_interval": 30, "min_file_process_interval": 30},
        "logging": {"base_log_folder": logs_folder(settings)},
        "usage_data_collection": {"enabled": False},
    }


def passwords_file(settings: Settings) -> Path:
    return airflow_home(settings) / "passwords.json"


def _keys(settings: Settings) -> dict[str, str]:
    """Return the keys that Airflow's processes share. The first call makes them."""
    file = airflow_home(settings) / "keys.json"
    if not file.is_file():
        keys = {name: secrets.token_urlsafe(48) for name in ("secret_key", "jwt_secret")}
        keys["fernet_key"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        write_private(file, json.dumps(keys))
    return dict(json.loads(file.read_text()))
