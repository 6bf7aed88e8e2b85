"""Runs commands of `throughline` in a process of their own whose libraries are imported already.

A server process imports the libraries once and is forked for each command. A start of Python would import them again,
which takes a command one to five seconds.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

TIMEOUT_SECONDS = 900
# None that reads its environment when it is imported, as PyIceberg and modules of this repository do.
LIBRARIES = [
    "duckdb",
    "great_expectations",
    "pandas",
    "psutil",
    "psycopg",
    "pyarrow.compute",
    "pyarrow.parquet",
    "pydantic",
    "pyspark.sql.connect.session",
    "requests",
    "rich.console",
    "sqlalchemy.orm",
    "typer",
]


def run_commands(
    commands: Sequence[Sequence[str | Path]], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run commands one after the other in one process, as the program does, up to the first that fails."""
    processes = get_context("forkserver")
    processes.set_forkserver_preload(LIBRARIES)
    words = [[str(word) for word in command] for command in commands]
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "stdout", Path(folder) / "stderr"
        process = processes.Process(target=_run, args=[words, dict(environment), str(out), str(err)])
        process.start()
        process.join(TIMEOUT_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(str(words), TIMEOUT_SECONDS, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(words, process.exitcode, out.read_text(), err.read_text())


def _run(commands: Sequence[Sequence[str]], environment: Mapping[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), number)
    from pipeline.cli import main

    for command in commands:
        sys.argv = ["throughline", *command]
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
