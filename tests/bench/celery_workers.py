"""Airflow as `docker/compose.yaml` configures it, on loopback, with workers of Celery that share no folder.

Each worker starts as a container does, by `pipeline.local.container`, with a home and a working folder of its own, both
empty. Where root runs this, each worker is another account, which cannot read the files of the others.
"""

import base64
import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import yaml

from pipeline.days import DayRange
from pipeline.local import postgres
from pipeline.local.airflow_client import AirflowApi
from pipeline.local.airflow_config import DATABASE, POOLS, address, password, passwords_file
from pipeline.local.spark_config import fetched_jars
from pipeline.settings import ROOT, Settings
from tests.remote_stack import HOST, free_port, wait_for
from tests.waiting import wait_until

DAG = "interest_nightly"
SERVERS = ("redis-server", "valkey-server")
COMPOSE = ROOT / "docker" / "compose.yaml"
QUEUES = ("default", "default", "gpu")
ACCOUNTS = ("daemon", "games", "mail", "news")
START_SECONDS, NIGHT_SECONDS = 180.0, 1200.0
HEARTBEAT_TIMEOUT = 20  # seconds; Airflow's default is 300
WORKING_SECONDS = 3.0  # that a step works before its worker is killed
# What would be state that another machine needs.
SHARED_STATE = {"landing", "warehouse", "exchange", "reports", "data_docs", "mlruns", "postgres"}


def why_no_airflow() -> str | None:
    """Return why workers of Celery cannot run here and how to change that; None if they can."""
    if not shutil.which("celery", path=Path(sys.executable).parent):
        return "no Celery in this environment: `.uv/bin/uv sync --frozen --group celery` installs it"
    if not any(map(shutil.which, SERVERS)):
        return f"no broker: none of {', '.join(SERVERS)} on the PATH; Debian's package is redis-server"
    try:
        if os.geteuid() == 0:
            subprocess.run([sys.executable, "-c", ""], user=ACCOUNTS[0], check=True)
    except PermissionError:
        return f"the accounts of workers, such as {ACCOUNTS[0]}, may not run {sys.executable}; all must be allowed to"
    return None


@dataclass
class Worker:
    """A worker of Celery, which is a machine of its own as far as files go."""

    name: str
    queues: str
    folder: Path
    account: str | None
    process: subprocess.Popen[bytes]

    def steps(self, step: str, day: date) -> list[psutil.Process]:
        """Return the processes of a step of a day in this worker: of a Spark job, the driver among them."""
        found = []
        for one in self._family():
            with suppress(psutil.Error):
                words = one.cmdline()
                if any(word == step or word.endswith(f"/{step}.py") for word in words) and str(day) in words:
                    found.append(one)
        return found

    def kill(self) -> None:
        """Kill all processes of the worker at once, as a power cut does."""
        for send in (psutil.Process.suspend, psutil.Process.kill):  # stopped, none reports the end of another
            for one in self._family():
                with suppress(psutil.Error):
                    send(one)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.kill()

    def tasks(self) -> list[str]:
        """Return the tasks whose logs lie on this worker, as day, task and try."""
        logs = (self.folder / "home" / "logs" / "airflow").glob(f"dag_id={DAG}/run_id=*/task_id=*/attempt=*.log")
        found = []
        for log in sorted(logs, key=lambda log: log.stat().st_mtime):
            run, task, attempt = (part.partition("=")[2] for part in log.with_suffix("").parts[-3:])
            found.append(f"{run} {task} {attempt}")
        return found

    def shared_state(self) -> set[str]:
        """Return what lies in the home of the worker that another machine would need."""
        home = self.folder / "home"
        return {name for name in SHARED_STATE if any(one.is_file() for one in (home / name).rglob("*"))}

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        return []


@dataclass
class CeleryAirflow:
    """A running Airflow. variables: the settings that all its processes share."""

    folder: Path
    settings: Settings
    variables: Mapping[str, str]
    workers: list[Worker] = field(default_factory=list)

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of a process whose home and working folder lie in `folder`."""
        home = folder / "home"
        inherited = ("PATH", "LANG", "TZ", "JAVA_HOME", "PYTHONDONTWRITEBYTECODE")
        return {
            **{name: os.environ[name] for name in inherited if name in os.environ},
            **self.variables,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "SPARK_LOCAL_DIRS": str(folder),
            "SPARK_LOCAL_IP": HOST,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'dags'}",
            "THROUGHLINE_HOME": str(home),
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs" / "airflow"),
        }

    def start_worker(self, queues: str) -> Worker:
        """Start a worker with an empty home."""
        number = len(self.workers)
        name, folder = f"worker-{number}", self.folder / f"worker-{number}"
        (folder / "home").mkdir(parents=True)
        give_jars(folder / "home")
        account = ACCOUNTS[number % len(ACCOUNTS)] if os.geteuid() == 0 else None
        owner: dict[str, Any] = {}
        if account:
            owner = {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}
            subprocess.run(["chown", "-R", f"{account}:", str(folder)], check=True)
        folder.chmod(0o700)
        command = [sys.executable, "-m", "pipeline.local.container", *worker_command(), queues]
        # The server of a worker's logs would listen on all addresses.
        command += ["--skip-serve-logs", "--celery-hostname", f"{name}@%h"]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment(folder), cwd=folder, stdout=log, stderr=log, umask=0o077, **owner
            )
        self.workers.append(Worker(name, queues, folder, account, process))
        return self.workers[-1]

    def backfill(self, days: DayRange, kills: Mapping[date, str]) -> dict[str, Any]:
        """Backfill days; kill the worker that runs the given step of a day, and start another in its place.

        Returns what was seen: seconds, the tasks that were retried, and which worker ran which tasks.
        """
        api, started = AirflowApi(self.settings), time.monotonic()
        wait_until(lambda: api.has_dag(DAG), START_SECONDS)
        api.unpause(DAG)
        runs = api.backfill(DAG, days)
        killed: dict[str, tuple[Worker, datetime]] = {}
        for day, step in kills.items():
            worker = self._kill_in(step, day)
            killed[f"{step} of {day}"] = (worker, datetime.now(UTC))
            self.start_worker(worker.queues)
        wait_until(lambda: {api.run_state(DAG, run) for run in runs} <= {"success", "failed"}, NIGHT_SECONDS, every=2)
        seconds = round(time.monotonic() - started, 1)
        tasks = [task for run in runs for task in task_instances(api, run)]
        retried = {
            f"{task['task_id']} of {task['logical_date'][:10]}": task for task in tasks if task["try_number"] > 1
        }
        return {
            "states": {run: api.run_state(DAG, run) for run in runs},
            "seconds": seconds,
            "killed": {
                step: {
                    "worker": worker.name,
                    "tries": retried[step]["try_number"],
                    "seconds_until_retry": (datetime.fromisoformat(retried[step]["start_date"]) - moment).seconds,
                }
                for step, (worker, moment) in killed.items()
            },
            "other_retries": sorted(retried.keys() - killed.keys()),
            "tasks": {worker.name: worker.tasks() for worker in self.workers},
            "accounts": {worker.name: worker.account for worker in self.workers},
            "shared_state": sorted(set().union(*(worker.shared_state() for worker in self.workers))),
        }

    def _kill_in(self, step: str, day: date) -> Worker:
        """Kill the worker that runs a step of a day, that of a Spark job once executors work for it; return it."""
        found: list[Worker] = []

        def works() -> bool:
            for worker in self.workers:
                if processes := worker.steps(step, day):
                    found[:] = [worker]
                    started = min(one.create_time() for one in processes)
                    return step == "score" or bool(executors_since(started))
            return False

        wait_until(works, NIGHT_SECONDS, every=0.2)
        time.sleep(WORKING_SECONDS)
        assert found[0].steps(step, day), f"{step} of {day} ended before its worker could be killed"
        found[0].kill()
        return found[0]


def executors_since(moment: float) -> list[psutil.Process]:
    """Return the executors of Spark that started after a moment."""
    found = []
    for one in psutil.process_iter(["cmdline", "create_time"]):
        words = one.info["cmdline"] or []
        if any("CoarseGrainedExecutorBackend" in word for word in words) and one.info["create_time"] > moment:
            found.append(one)
    return found


def task_instances(api: AirflowApi, run: str) -> list[dict[str, Any]]:
    """Return the task instances of a run as Airflow's API has them."""
    answer = api.request("GET", f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances")
    return list(answer["task_instances"])


def worker_command() -> list[str]:
    """Return the command of a worker in `docker/compose.yaml`, without its queues."""
    command: list[str] = yaml.safe_load(COMPOSE.read_text())["services"]["airflow-worker"]["command"]
    return command[:-1]


def compose_variables(own: Mapping[str, str]) -> dict[str, str]:
    """Return what `docker/compose.yaml` sets for Airflow, with addresses and secrets of this machine in their place."""
    stated = yaml.safe_load(COMPOSE.read_text())["services"]["airflow-worker"]["environment"]
    variables = {name: str(value) for name, value in stated.items() if name.startswith("AIRFLOW_")} | own
    left = [name for name, value in variables.items() if re.search(r"\$\{|/var/lib/", value)]
    assert not left, f"{COMPOSE} sets {left}, which has no value on this machine"
    return variables


def give_jars(home: Path) -> None:
    """Copy Spark's jars into a home, unless they lie in Spark's own folder as in an image."""
    if not fetched_jars(Settings(home=home, landing="s3://any/landing")):
        shutil.copytree(ROOT / ".throughline" / "jars", home / "jars", ignore=shutil.ignore_patterns("rest-catalog"))


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Run a Redis on loopback for the block; yield its URL."""
    program = next(filter(None, map(shutil.which, SERVERS)))
    port, secret = free_port(), secrets.token_hex(16)
    command = [program, "--port", str(port), "--bind", HOST, "--requirepass", secret, "--save", ""]
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(port)
        yield f"redis://:{secret}@{HOST}:{port}/0"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def celery_airflow(folder: Path, variables: Mapping[str, str]) -> Iterator[CeleryAirflow]:
    """Run Airflow's servers and workers for the block, with a PostgreSQL for their database and the lease.

    variables: the settings of the cluster.
    """
    folder.mkdir()
    folder.chmod(0o711)  # accounts of workers pass, and see nothing
    home = folder / "servers" / "home"
    settings = Settings(home=home, postgres_port=free_port(), airflow_port=free_port())
    processes: list[subprocess.Popen[bytes]] = []
    airflow = None
    postgres.start(settings)
    try:
        with broker(folder) as broker_url:
            postgres.create_database(settings, DATABASE)
            postgres.create_database(settings, "registry")
            airflow = CeleryAirflow(folder, settings, variables_on_loopback(settings, variables, broker_url))
            environment = airflow.environment(home.parent)
            give_jars(home)
            password(settings)
            (home / "pools.json").write_text(json.dumps(POOLS))
            program = str(Path(sys.executable).parent / "airflow")
            for words in (["db", "migrate"], ["pools", "import", str(home / "pools.json")]):
                subprocess.run([program, *words], env=environment, check=True, capture_output=True)
            for name in ("api-server", "scheduler", "dag-processor"):  # none: nights of one backfill wait for no lease
                with (folder / f"{name}.log").open("wb") as log:
                    command = [program, name, *(["--skip-serve-logs"] if name == "scheduler" else [])]
                    processes.append(
                        subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                    )
            for queues in QUEUES:
                airflow.start_worker(queues)
            wait_until(lambda: _answers(settings), START_SECONDS)
            yield airflow
    finally:
        for worker in airflow.workers if airflow else []:
            worker.stop()
        for process in processes:
            _end(process)
        postgres.stop(settings)


def variables_on_loopback(settings: Settings, variables: Mapping[str, str], broker_url: str) -> dict[str, str]:
    """Return what all processes share: the settings of the cluster, and the configuration of Airflow."""
    database = postgres.url(settings, DATABASE).replace("postgresql://", "postgresql+psycopg://")
    own = {
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address(settings)}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(settings)),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "dags" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
        "AIRFLOW__CELERY__BROKER_URL": broker_url,
        "AIRFLOW__API__BASE_URL": address(settings),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "THROUGHLINE_GPU_QUEUE": "gpu",
        "THROUGHLINE_LEASE_URL": postgres.url(settings),
        "THROUGHLINE_REGISTRY_URL": postgres.url(settings, "registry"),
    }
    return {**variables, **compose_variables(own)}


def _answers(settings: Settings) -> bool:
    try:
        return bool(AirflowApi(settings))
    except Exception:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process of Airflow with those that it started."""
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for one in [process, *children]:
            with suppress(psutil.Error, ProcessLookupError):
                one.kill()
    process.wait()
