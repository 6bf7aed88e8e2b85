"""Run a Spark job: python -m pipeline.jobs clean --day 2026-01-31

The job runs in this process, as a client of the engine that the setting `spark_engine` names, or spark-submit runs it.
"""

import os
import sys

from pipeline.errors import exit_with_message
from pipeline.files import keep_private
from pipeline.local.scratch import take_scratch
from pipeline.local.spark_config import is_one_machine
from pipeline.runner.commands import step_environment, submit_arguments
from pipeline.runner.process import can_connect, run_module
from pipeline.settings import load_settings


def main() -> None:
    job, *arguments = sys.argv[1:]
    settings = load_settings()
    keep_private(settings.home / "landing", settings.home / "warehouse")
    if can_connect(settings):
        run_module(f"pipeline.jobs.{job}", arguments)
    else:
        command = submit_arguments(job, *arguments)
        scratch = take_scratch(settings) if is_one_machine(settings) else {}
        os.execve(command[0], command, {**step_environment(settings), **scratch})


if __name__ == "__main__":
    with exit_with_message():
        main()
