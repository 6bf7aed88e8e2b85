"""`make bench cluster`: the demo's log on a laptop, and on a Spark master with two workers, with all data in S3.

Both have the same key. The cluster has a REST catalog, its landing zone, log and tables on an S3 server, and steps by
spark-submit; all of it runs on this machine. The data tables must have equal fingerprints. The history runs as one
range, the last days as nights.

With `--airflow`, Airflow backfills the days of a tiny log there, by workers of Celery that share no folder. After the
first day, the worker of each step to kill is killed in the middle of it, on a day of its own.

python -m tests.bench.cluster [--users 700] [--days 7] [--nights 2]
python -m tests.bench.cluster --airflow [--kill clean,score,publish]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc
from rich.console import Console

from pipeline.analyst.fingerprint import fingerprint
from pipeline.analyst.release import newest_release, open_catalog, read_table
from pipeline.days import DayRange
from pipeline.demo.plan import DemoPlan
from pipeline.demo.write import write_demo_log
from pipeline.local import postgres
from pipeline.local.java import prepare_java
from pipeline.local.spark_config import pyiceberg_properties
from pipeline.runner.commands import TASKS
from pipeline.settings import ROOT, Settings, load_settings
from tests.bench.celery_workers import celery_airflow, why_no_airflow
from tests.bench.machine import machine
from tests.bench.tiny_homes import SPARK_OPTIONS as TINY_OPTIONS
from tests.bench.tiny_log import lines_of, write_tiny_log
from tests.remote_stack import BUCKET, HOST, RemoteStack, free_port, remote_stack, wait_for, why_not

RESULTS = Path(__file__).with_name("results") / "cluster.json"
AIRFLOW_RESULTS = RESULTS.with_name("cluster_airflow.json")
FIRST_TINY_DAY = date(2026, 1, 5)
KEY = "the key of both homes of this benchmark"
REGISTRY = "registry"
TABLES = ("events", "rejects", "items", "sessions", "sequences")
WORKERS = 2
SPARK_OPTIONS = {"spark.sql.shuffle.partitions": "2", "spark.driver.host": HOST, "spark.driver.bindAddress": HOST}


def call(environment: Mapping[str, str], *words: str) -> str:
    """Run a command of `throughline` that must succeed; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"throughline {' '.join(words)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def run(environment: Mapping[str, str], *words: str) -> float:
    """Run a command of `throughline` that must succeed; return its seconds."""
    started = time.monotonic()
    call(environment, *words)
    return round(time.monotonic() - started, 1)


@contextmanager
def home(folder: Path, **variables: str) -> Iterator[dict[str, str]]:
    """Yield the environment of a new home with the jars of this checkout; stop its servers after the block."""
    folder.mkdir()
    (folder / "jars").symlink_to(ROOT / ".throughline" / "jars")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "THROUGHLINE_HOME": str(folder),
        "THROUGHLINE_PSEUDONYM_KEY": KEY,
        "THROUGHLINE_POSTGRES_PORT": str(free_port()),
        **variables,
    }
    try:
        yield environment
    finally:
        call(environment, "down")


def nights(environment: Mapping[str, str], log: str, plan: DemoPlan, count: int) -> dict[str, float]:
    """Land the log, run its history as one range and its last days one by one; return the seconds of each."""
    seconds = {"land": run(environment, "land", "--source", "demo", log)}
    last = plan.last_day - timedelta(days=count)
    seconds["history"] = run(environment, "run", "--from", str(plan.first_day), "--to", str(last))
    for number in range(1, count + 1):
        day = last + timedelta(days=number)
        seconds[f"night {number}"] = run(environment, "run", "--day", str(day))
    return seconds


@dataclass(frozen=True)
class Published:
    """What a home has published: fingerprints of its data tables, and the affinities of its newest day."""

    fingerprints: Mapping[str, str]
    affinities: Mapping[tuple[str, str], float]  # by user and tag

    def compare(self, other: "Published") -> dict[str, Any]:
        """Return which data tables are equal, and how far affinities differ at most; None if users or tags differ."""
        here, there = self.affinities, other.affinities
        has_same_tags = bool(here) and here.keys() == there.keys()
        return {
            "equal": {name: found == other.fingerprints[name] for name, found in self.fingerprints.items()},
            "affinities": len(here),
            "affinities_differ_by": max(abs(here[key] - there[key]) for key in here) if has_same_tags else None,
        }


def is_same(compared: Mapping[str, Any]) -> bool:
    """Return whether data tables are equal and affinities differ by 1e-4 at most."""
    difference = compared["affinities_differ_by"]
    return all(compared["equal"].values()) and difference is not None and difference <= 1e-4


def published(environment: Mapping[str, str]) -> Published:
    """Return what the newest release of a home has. environment: that of its commands."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        catalog = open_catalog(pyiceberg_properties(load_settings()))
        release = newest_release(catalog, None)
        profiles = read_table(catalog, release, "profiles")
        newest = profiles.filter(pc.field("as_of") == release.as_of)
        affinities = {
            (row["user_id"], interest["tag"]): interest["affinity"]
            for row in newest.select(["user_id", "interests"]).to_pylist()
            for interest in row["interests"]
        }
        tables = {name: fingerprint(read_table(catalog, release, name), name) for name in TABLES}
        return Published(tables, affinities)
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def spark_cluster(folder: Path, stack: RemoteStack) -> Iterator[str]:
    """Run a standalone master and two workers of one core each on loopback; yield the master's address."""
    folder.mkdir()
    settings = Settings(home=ROOT / ".throughline", catalog=stack.catalog)
    environment = {
        **os.environ,
        **stack.variables,
        "JAVA_HOME": str(prepare_java(settings).home),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_CONF_DIR": str(folder),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    port, program = free_port(), str(Path(sys.executable).parent / "spark-class")
    master = [program, "org.apache.spark.deploy.master.Master", "--host", HOST, "--port", str(port)]
    worker = [program, "org.apache.spark.deploy.worker.Worker", "--host", HOST, "--cores", "1", "--memory", "1g"]
    commands = [[*master, "--webui-port", str(free_port())]]
    for number in range(WORKERS):
        work = ["--work-dir", str(folder / f"worker-{number}"), "--webui-port", str(free_port())]
        commands.append([*worker, *work, f"spark://{HOST}:{port}"])
    processes = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"{number}.log").open("wb") as log:
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            if number == 0:
                wait_for(port)
        yield f"spark://{HOST}:{port}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


@contextmanager
def registry_database(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL that names the saved models; yield the URL of its database."""
    settings = Settings(home=folder, postgres_port=free_port())
    postgres.start(settings)
    try:
        postgres.create_database(settings, REGISTRY)
        yield postgres.url(settings, REGISTRY)
    finally:
        postgres.stop(settings)


@contextmanager
def cluster_home(folder: Path, stack: RemoteStack, master: str) -> Iterator[dict[str, str]]:
    """Yield the environment of a new home whose data lie in S3 and whose steps run on the cluster."""
    variables = variables_of(stack, master)
    with (
        registry_database(folder.with_name("registry")) as registry,
        home(folder, THROUGHLINE_REGISTRY_URL=registry, **variables) as made,
    ):
        yield made


def variables_of(stack: RemoteStack, master: str, **options: str) -> dict[str, str]:
    """Return the settings of a home whose data lie in S3 and whose steps run on the cluster. options: of Spark."""
    folders = {name: f"s3://{BUCKET}/{name.lower()}" for name in ("LANDING", "EXCHANGE", "MODELS", "REPORTS")}
    return {
        **stack.variables,
        **{f"THROUGHLINE_{name}": place for name, place in folders.items()},
        "THROUGHLINE_CATALOG": json.dumps(stack.catalog),
        "THROUGHLINE_SPARK_MASTER": master,
        "THROUGHLINE_SPARK_OPTIONS": json.dumps(SPARK_OPTIONS | options),
    }


def tiny_nights_on_laptop(folder: Path, days: DayRange) -> tuple[dict[str, float], Published]:
    """Write a tiny log and run its nights in a home of this machine; return seconds and what was published."""
    (folder / "log").mkdir()
    write_tiny_log(folder / "log", days)
    with home(folder / "laptop", THROUGHLINE_SPARK_OPTIONS=json.dumps(TINY_OPTIONS)) as laptop:
        seconds = {"land": run(laptop, "land", "--source", "demo", str(folder / "log"))}
        seconds |= {str(day): run(laptop, "run", "--day", str(day)) for day in days}
        return seconds, published(laptop)


def tiny_nights_by_airflow(folder: Path, days: DayRange, kills: Mapping[date, str]) -> tuple[dict[str, Any], Published]:
    """Let Airflow backfill the same nights on the cluster; return what was seen there, and what was published."""
    quick = {**TINY_OPTIONS, "spark.executor.extraJavaOptions": TINY_OPTIONS["spark.driver.extraJavaOptions"]}
    with remote_stack(folder / "stack") as stack, spark_cluster(folder / "spark", stack) as master:
        shutil.copytree(folder / "log", stack.folder / "incoming")
        own = {"THROUGHLINE_PSEUDONYM_KEY": KEY, "THROUGHLINE_MIN_FREE_GIB": "0"}
        with celery_airflow(folder / "airflow", {**variables_of(stack, master, **quick), **own}) as airflow:
            environment = airflow.environment(airflow.settings.home.parent)
            landed = run(environment, "land", "--source", "demo", f"s3://{BUCKET}/incoming")
            seen = {"land": landed, **airflow.backfill(days, kills)}
            return seen, published(environment)


def compare_airflow(folder: Path, killed_steps: Sequence[str], console: Console) -> None:
    """Run tiny nights on a laptop and by Airflow on the cluster, and write what came of it."""
    folder.chmod(0o711)  # the accounts of workers pass, and see nothing
    kills = {FIRST_TINY_DAY + timedelta(days=number): step for number, step in enumerate(killed_steps, start=1)}
    days = DayRange(FIRST_TINY_DAY, max(kills))
    of_laptop, expected = tiny_nights_on_laptop(folder, days)
    console.print("laptop", of_laptop)
    seen, found = tiny_nights_by_airflow(folder, days, kills)
    result = {
        "machine": machine(),
        "lines": sum(len(lines_of(day)) for day in days),
        "laptop_seconds": of_laptop,
        "airflow": seen,
        **found.compare(expected),
    }
    console.print(result)
    AIRFLOW_RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    if not is_same(result) or seen["shared_state"] or set(seen["states"].values()) != {"success"}:
        raise SystemExit("the nights failed, the tables differ, or a worker keeps state that others need")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=700)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--nights", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one night")
    parser.add_argument("--airflow", action="store_true", help="nights of a tiny log, by workers of Celery")
    parser.add_argument("--kill", default="sessions", help="steps whose worker is killed, each on a day of its own")
    chosen = parser.parse_args()
    killed_steps = chosen.kill.split(",")
    if unknown := set(killed_steps) - set(TASKS):
        parser.error(f"--kill: found {', '.join(sorted(unknown))}, expected some of {', '.join(TASKS)}")
    if reason := why_not():
        raise SystemExit(f"this benchmark needs an S3 server: {reason}")
    console = Console()
    if chosen.airflow:
        if reason := why_no_airflow():
            raise SystemExit(f"this benchmark needs workers of Celery: {reason}")
        with TemporaryDirectory(prefix="throughline-bench-", ignore_cleanup_errors=True) as name:
            compare_airflow(Path(name), killed_steps, console)
        return
    plan = DemoPlan(users=chosen.users, days=chosen.days)
    count = 1 if chosen.quick else chosen.nights
    result: dict[str, object] = {"machine": machine(), "users": plan.users, "days": plan.days, "workers": WORKERS}
    with TemporaryDirectory(prefix="throughline-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log = folder / "log"
        result["lines"] = write_demo_log(log, plan).lines
        with home(folder / "laptop") as laptop:
            of_laptop = nights(laptop, str(log), plan, count)
            expected = published(laptop)
        console.print("laptop", of_laptop)
        with remote_stack(folder / "stack") as stack, spark_cluster(folder / "spark", stack) as master:
            shutil.copytree(log, stack.folder / "incoming")
            with cluster_home(folder / "cluster", stack, master) as cluster:
                of_cluster = nights(cluster, f"s3://{BUCKET}/incoming", plan, count)
                found = published(cluster)
        console.print("cluster", of_cluster)
    compared = found.compare(expected)
    result |= {"laptop_seconds": of_laptop, "cluster_seconds": of_cluster, **compared}
    console.print(compared)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    if not is_same(compared):
        raise SystemExit("the tables differ")


if __name__ == "__main__":
    main()
