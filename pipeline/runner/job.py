"""Run a step inside this process; its Spark jobs are clients of a Spark Connect server."""

import importlib
import sys
import threading
from collections.abc import Sequence

from pipeline.errors import ThroughlineError
from pipeline.local.engine import start_engine
from pipeline.local.spark_config import is_one_machine
from pipeline.runner.commands import step_environment
from pipeline.settings import Settings

SESSION = "pyspark.sql.connect.session"
# What modules import when they run.
LATE_IMPORTS = {
    "model.__main__": ("model.scoring",),
    "pipeline.jobs.audit": ("great_expectations",),
    "pipeline.jobs.publish": ("pyiceberg.catalog.sql", "pipeline.analyst.report.page", "vl_convert"),
}


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


def run_module(module: str, words: Sequence[str]) -> None:
    """Run the function `main` of a module in this process."""
    importlib.import_module(module).main(words)


def import_in_background(modules: Sequence[str]) -> None:
    """Import modules in a thread: libraries of models and gates take seconds, in which Spark works elsewhere.

    What this thread shares with them is imported before, so that no two threads import one library at a time.
    """
    for shared in (SESSION, *(module for module in modules if module.startswith("pipeline."))):
        importlib.import_module(shared)

    def work() -> None:
        for module in modules:
            for part in LATE_IMPORTS.get(module, ()):
                importlib.import_module(part)

    threading.Thread(target=work, daemon=True, name="imports").start()
