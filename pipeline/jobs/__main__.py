"""Run a Spark job: python -m pipeline.jobs clean --day 2026-01-31

The job runs in this process, as a client of the engine that the setting `spark_engine` names, or spark-submit runs it.
"""

import os
import sys

from pipeline.errors import exit_with_message
from pipeline.files import keep_private
from pipeline.runner.commands import step_environment, submit_arguments
from pipeline.runner.job import can_connect, run_module
from pipeline.settings import load_settings


def main() -> None:
    job, *arguments = sys.argv[1:]
    settings = load_settings()
    keep_private(settings.home / "landing", settings.home / "warehouse")
    if can_connect(settings):
        run_module(f"pipeline.jobs.{job}", arguments)
    else:
        command = submit_arguments(job, *arguments)
        os.execve(command[0], command, dict(step_environment(settings)))


if __name__ == "__main__":
    with exit_with_message():
        main()
