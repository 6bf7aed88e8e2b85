"""Run a Spark job inside this process, as a client of a Spark Connect server."""

import importlib
import sys
from collections.abc import Sequence

from pipeline.errors import ThroughlineError
from pipeline.local.engine import start_engine
from pipeline.local.spark_config import is_one_machine
from pipeline.runner.commands import step_environment
from pipeline.settings import Settings


def can_connect(settings: Settings) -> bool:
    """Return whether jobs run as clients of a Spark Connect server; start the warm engine if it is that one.

    If it does not start, jobs run by spark-submit, which is slower; a warning says why.
    """
    if settings.spark_engine != "warm":
        return settings.spark_engine.startswith("sc://")
    if not is_one_machine(settings):
        return False
    try:
        start_engine(settings, step_environment(settings))
    except ThroughlineError as error:
        print(f"warning: {error}; each job starts its own Spark instead, which is slower", file=sys.stderr, flush=True)
        return False
    return True


def run_job(job: str, arguments: Sequence[str]) -> None:
    """Run the job of that name in this process."""
    importlib.import_module(f"pipeline.jobs.{job}").main(arguments)
