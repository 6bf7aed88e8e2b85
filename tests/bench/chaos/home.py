"""A home whose commands are run, watched and ended; what it must not leave; and readers that poll it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.analyst.fingerprint import fingerprint
from pipeline.analyst.query import query
from pipeline.analyst.release import newest_release, open_catalog, read_table
from pipeline.local import postgres
from pipeline.local.engine import find_engine
from pipeline.local.processes import Background
from pipeline.local.spark_config import pyiceberg_properties
from pipeline.settings import ROOT, Settings
from pipeline.warehouse.names import BRANCH_PREFIX, NIGHT_TABLES
from tests.commands import run_commands

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

TABLES = ("events", "rejects", "items", "sessions", "sequences", "profiles")
DAY_OF = {
    "events": "arrival_day",
    "rejects": "arrival_day",
    "sessions": "started_at",
    "sequences": "as_of",
    "profiles": "as_of",
}
COUNTS = f"""SELECT (SELECT CAST(max(as_of) AS VARCHAR) FROM profiles) AS day,
    {", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for name in TABLES)}"""
POLL_SECONDS = 0.05
END_SECONDS = 600.0
ENDING_SECONDS = 30.0  # in which the processes of a command that was killed must have ended
POLLS_PER_SECOND = 1.0  # of all readers together, which begin one after the other

Counts = Mapping[str, Any]  # the day of the newest profiles, and the rows of each table


@dataclass
class Running:
    """A command that runs. lines: what it has printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def has_printed(self, words: str, seconds: float = END_SECONDS) -> bool:
        """Wait until the command prints these words; return False if it ends before."""
        until = time.monotonic() + seconds
        while not any(words in line for line in list(self.lines)):
            if not self._reader.is_alive() or time.monotonic() >= until:
                return any(words in line for line in self.lines)
            time.sleep(POLL_SECONDS)
        return True

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and all that was printed."""
        exit_code = self.process.wait(END_SECONDS)
        self._reader.join(ENDING_SECONDS)
        return exit_code, "".join(self.lines)


@dataclass(frozen=True)
class ChaosHome:
    """A home and the environment of its commands."""

    home: Path
    environment: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        engine_home = self.environment.get("THROUGHLINE_ENGINE_HOME")
        variables = {name: self.environment.get(f"THROUGHLINE_{name.upper()}") for name in ("catalog", "airflow_port")}
        return Settings(
            home=self.home,
            engine_home=Path(engine_home) if engine_home else None,
            postgres_port=int(self.environment["THROUGHLINE_POSTGRES_PORT"]),
            **{name: json.loads(text) for name, text in variables.items() if text},
        )

    def start(self, *arguments: str, **variables: str) -> Running:
        """Start a command of `throughline`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            env={**self.environment, **variables, "PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Running(process)

    def do(self, *arguments: str, **variables: str) -> str:
        """Run a command that must succeed; return what it printed."""
        exit_code, printed = self.start(*arguments, **variables).end()
        assert exit_code == 0, f"{' '.join(arguments)}: exit code {exit_code}\n{printed}"
        return printed

    def do_all(self, commands: Sequence[Sequence[str]]) -> None:
        """Run commands that must succeed, one after the other in one process."""
        done = run_commands(commands, self.environment)
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"

    def catalog(self) -> "Catalog":
        return open_catalog(pyiceberg_properties(self.settings))

    def counts(self, catalog: "Catalog | None" = None) -> Counts:
        """Return what a reader sees at this moment."""
        [row] = query(COUNTS, catalog or self.catalog()).to_pylist()
        return dict(row)

    def fingerprints(self, day: date | None = None) -> Mapping[str, str]:
        """Return the content hash of each table of the newest release; of a day: that of the rows that it added."""
        catalog = self.catalog()
        release = newest_release(catalog, None)
        tables = {name: read_table(catalog, release, name) for name in TABLES if not day or name in DAY_OF}
        if day:
            tables = {name: rows.filter(pc.equal(_days(rows, DAY_OF[name]), day)) for name, rows in tables.items()}
        return {name: fingerprint(rows, name) for name, rows in tables.items()}

    def victim(self, name: str, client: psutil.Process) -> psutil.Process:
        """Return the process to end: client, engine, PostgreSQL, or a child of the client: model or job."""
        if name == "client":
            return client
        if name == "engine":
            record = self.settings.home_of_engine / "engine" / "server.json"
            found = Background("engine", record, record).find()
            assert found, "no engine runs"
            return found
        if name == "PostgreSQL":
            return psutil.Process(int((self.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0]))
        until = time.monotonic() + END_SECONDS
        while time.monotonic() < until:
            for child in client.children(recursive=True):
                with suppress(psutil.Error):
                    words = child.cmdline()
                    is_model = "model" in words and "score" in words
                    if is_model if name == "model" else "java" in child.name():
                        return child
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"no process of the {name} was found")

    def leftovers(self) -> list[str]:
        """Return what is left that should not be: processes, branches, scratch, staged files, sessions."""
        settings = self.settings
        folders = {"scratch": self.home / "scratch", "staging": self.home / "staging"}
        files = [
            f"{name}: {file.name}"
            for name, folder in folders.items()
            for file in folder.glob("*")
            if file.suffix != ".lock"
        ]
        sessions = [f"session {file.name}" for file in (settings.home_of_engine / "engine" / "sessions").glob("*")]
        catalog = self.catalog()
        branches = [
            f"branch {ref} of {name}"
            for name in NIGHT_TABLES
            for ref in catalog.load_table(f"interest.{name}").refs()
            if ref.startswith(BRANCH_PREFIX)
        ]
        return [*self.orphans(), *files, *sessions, *branches]

    def orphans(self) -> list[str]:
        """Return the processes of this home that no command needs; the engine and PostgreSQL are none."""
        until = time.monotonic() + ENDING_SECONDS
        while found := [f"process {one.pid}: {' '.join(one.cmdline())[:80]}" for one in self._processes()]:
            if time.monotonic() >= until:
                return found
            time.sleep(POLL_SECONDS)
        return []

    def _processes(self) -> Iterator[psutil.Process]:
        kept = {os.getpid()}
        folder = self.settings.home_of_engine / "engine"
        for record in (folder / "server.json", folder / "watcher.json"):
            if process := Background("", record, record).find():
                kept |= {process.pid, *(child.pid for child in process.children(recursive=True))}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                # Workers of Airflow's scheduler write their title where their variables were.
                is_own = process.environ().get("THROUGHLINE_HOME") == str(self.home) or any(
                    Path(file.path).is_relative_to(self.home) for file in process.open_files()
                )
                is_server = "postgres" in process.name() or process.pid in kept
                if is_own and not is_server and process.status() != psutil.STATUS_ZOMBIE:
                    yield process

    def is_engine_up(self) -> bool:
        return find_engine(self.settings) is not None

    @property
    def catalog_url(self) -> str:
        return postgres.url(self.settings)


def _days(rows: pa.Table, column: str) -> pa.ChunkedArray:
    return pc.cast(rows[column], pa.date32(), safe=False)


class Readers:
    """Threads that read the newest release again and again, each by a catalog of its own.

    seen: one entry per poll that was answered.
    """

    def __init__(self, home: ChaosHome, count: int) -> None:
        self.count = count
        self.seen: list[Counts] = []
        self.unanswered = 0
        self._home = home
        self._is_done = threading.Event()

    def _poll(self, number: int) -> None:
        catalog, seconds = None, (number + 1) / POLLS_PER_SECOND
        while not self._is_done.wait(seconds):
            seconds = self.count / POLLS_PER_SECOND
            try:
                catalog = catalog or self._home.catalog()
                self.seen.append(self._home.counts(catalog))
            except Exception:  # the catalog's server is down
                self.unanswered += 1

    def saw_other_than(self, *releases: Counts) -> list[str]:
        """Return a line for each thing seen that is none of these releases."""
        return sorted({f"a reader saw {one}" for one in self.seen if one not in releases})

    @contextmanager
    def polling(self) -> Iterator[None]:
        """Read during the block."""
        threads = [threading.Thread(target=self._poll, args=[number], daemon=True) for number in range(self.count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_done.set()
            for thread in threads:
                thread.join(END_SECONDS)
