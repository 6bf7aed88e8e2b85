"""A home of its own for a benchmark: settings, landed days, and steps run exactly as `throughline` runs them."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from pipeline.days import DayRange
from pipeline.files import write_whole
from pipeline.landing.arrival import land_events
from pipeline.landing.staging import stage_file
from pipeline.landing.zone import LandingZone
from pipeline.local import postgres
from pipeline.local.engine import JAVA_OPTIONS, stop_engine
from pipeline.local.preflight import run_preflight
from pipeline.pseudonyms import pseudonym_key
from pipeline.runner.commands import land_command, step_commands, step_environment, tables_command
from pipeline.settings import ROOT, Settings
from pipeline.sources.schema import load_source
from tests.bench.generated_log import LogPlan, write_log
from tests.bench.measure import Measurement, measured
from tests.bench.spark_times import Execution, executions
from tests.remote_stack import free_port

DATA_STEPS = ("clean", "sessions", "sequences")
TOML = Path(__file__).with_name("generated.toml")


@dataclass(frozen=True)
class BenchHome:
    """A home in which steps can be timed."""

    settings: Settings

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def _zone(self) -> LandingZone:
        return LandingZone(self.home / "landing")

    @property
    def event_logs(self) -> Path:
        return self.home / "event-logs"

    # `land_events` needs Spark only to find the day of a line, and here the day is given.

    def land(self, plan: LogPlan, landed: Callable[[int], None]) -> int:
        """Make and land a log, day by day, so that only one day lies on disk; return the number of lines."""
        lines = 0
        for day, file, count in write_log(plan, self.home / "log"):
            self.land_file(TOML, file, day)
            lines += count
            landed(lines)
        return lines

    def land_file(self, toml: Path, file: Path, day: date) -> None:
        """Land a file of lines of one day, and delete it."""
        source, zone, staging = load_source(toml), self._zone, self.home / "staging"
        pseudonym_key(self.settings)  # a home with landed lines and no key has lost it
        staged = stage_file(file, zone.landed_files(source.name), source.reader, staging)
        land_events(None, zone, source, [staged], day, staging)  # type: ignore[arg-type]
        zone.remember(source.name, staged.sha256, staged.landed)
        file.unlink()
        write_whole(zone.root / source.name / "source.toml", toml.read_text(encoding="utf-8"))

    def write_log(self, plan: LogPlan, written: Callable[[int], None]) -> int:
        """Write a log of one file per day; return the number of lines."""
        lines = 0
        for _, _, count in write_log(plan, self.home / "log"):
            lines += count
            written(lines)
        return lines

    def land_log(self) -> tuple[Measurement, float]:
        """Land the written log; return the cost of the process, and the seconds without start-up that it reports."""
        took = self.run(land_command(TOML, [self.home / "log"], None).arguments, "land")
        found = re.search(r"^landed .* in ([\d.]+) s$", (self.home / "logs" / "land.log").read_text(), re.MULTILINE)
        assert found, "the job `land` reports no seconds"
        return took, float(found[1])

    def land_empty_day(self, day: date) -> None:
        """Close a day without lines."""
        land_events(None, self._zone, load_source(TOML), [], day, self.home / "staging")  # type: ignore[arg-type]

    def make_tables(self) -> None:
        """Create the tables and fetch missing jars of Spark, so that neither is measured."""
        run_preflight(self.settings)
        self.run(tables_command().arguments, "tables")
        self.spark_executions()

    def run_step(self, step: str, first: date, last: date) -> Measurement:
        [command] = step_commands(step, DayRange(first, last))
        return self.run(command.arguments, f"{step}-{last}")

    def spark_executions(self) -> list[Execution]:
        """Return the SQL executions of the last process, longest first, and delete its log."""
        logs = sorted(self.event_logs.iterdir(), key=lambda file: file.stat().st_mtime)
        found = executions(logs[-1])
        for log in logs:
            log.unlink()
        return found

    def engine_cpu_seconds(self) -> float:
        """Return the processor time of the warm engine since its start."""
        record = json.loads((self.home / "engine" / "server.json").read_text())
        times = psutil.Process(record["pid"]).cpu_times()
        return float(times.user + times.system)

    def settle(self, last: date) -> None:
        """Move main to the branch of the data steps, without scoring."""
        job = Path(__file__).with_name("settle_job.py")
        submit = Path(sys.executable).parent / "spark-submit"
        self.run((str(submit), "--name", "settle", str(job), "--day", str(last)), "settle")

    def run(self, arguments: tuple[str, ...], log: str) -> Measurement:
        """Run a command line in the environment of a step, and return its cost."""
        environment = {**step_environment(self.settings), **_variables(self.settings), "PYTHONPATH": str(ROOT)}
        return measured(arguments, environment, self.home / "logs" / f"{log}.log")


@contextmanager
def bench_home(
    cores: int, memory: str, options: dict[str, str], keep: Path | None = None, spark_engine: str = "submit"
) -> Iterator[BenchHome]:
    """Make a home with the jars of the checkout. It is deleted afterwards unless `keep` names its folder.

    spark_engine: by default a process per step, so that its processor time and memory are its own.
    """
    jars = ROOT / ".throughline" / "jars"
    jars.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="throughline-bench-", ignore_cleanup_errors=True) as folder:
        home = (keep or Path(folder) / "throughline").resolve()
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "jars").exists():
            (home / "jars").symlink_to(jars)
        (home / "event-logs").mkdir(exist_ok=True)
        event_log = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": f"file://{home / 'event-logs'}",
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false",
        }
        settings = Settings(
            home=home,
            postgres_port=free_port(),
            spark_master=f"local[{cores}]",
            spark_driver_memory=memory,
            spark_engine=spark_engine,
            # compiled as on the warm engine, also in a process per step
            spark_options={"spark.driver.extraJavaOptions": JAVA_OPTIONS, **event_log, **options},
        )
        try:
            yield BenchHome(settings)
        finally:
            stop_engine(settings)
            postgres.stop(settings)


def _variables(settings: Settings) -> dict[str, str]:
    """Return the settings as the variables that a step reads them from."""
    values = {
        "POSTGRES_PORT": str(settings.postgres_port),
        "SPARK_ENGINE": settings.spark_engine,
        "SPARK_MASTER": settings.spark_master,
        "SPARK_DRIVER_MEMORY": settings.spark_driver_memory,
        "SPARK_OPTIONS": json.dumps(settings.spark_options),
    }
    return {f"THROUGHLINE_{name}": text for name, text in values.items()}
