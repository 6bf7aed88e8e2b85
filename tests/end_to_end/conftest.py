"""A real installation in a folder of its own: PostgreSQL, Spark, Iceberg, all by the commands that people type."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
THROUGHLINE = Path(sys.executable).parent / "throughline"
LONGEST_SECONDS = 900


@dataclass(frozen=True)
class Installation:
    """A home, and the command that works on it."""

    home: Path
    environment: dict[str, str]

    def call(self, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code."""
        return subprocess.run(
            [str(THROUGHLINE), *map(str, arguments)],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )

    def do(self, *arguments: str | Path) -> str:
        """Run a command that must end well; return what it printed."""
        done = self.call(*arguments)
        assert done.returncode == 0, f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def ask(self, sql: str, *options: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        answer: list[dict[str, Any]] = json.loads(self.do("query", sql, "--format", "json", *options))
        return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_installation(home: Path) -> Installation:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
    environment |= {
        "THROUGHLINE_HOME": str(home),
        "THROUGHLINE_POSTGRES_PORT": str(free_port()),
        "THROUGHLINE_MIN_FREE_GIB": "1",
        "TZ": "Asia/Tokyo",
        "COLUMNS": "160",
    }
    return Installation(home, environment)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An empty home; the jars are those of the checkout's own home, so that they are fetched once."""
    made = new_installation(tmp_path_factory.mktemp("home") / "throughline")
    jars = ROOT / ".throughline" / "jars"
    jars.mkdir(parents=True, exist_ok=True)
    made.home.mkdir()
    (made.home / "jars").symlink_to(jars)
    yield made
    made.call("down")


@pytest.fixture
def bare_installation(tmp_path: Path) -> Iterator[Installation]:
    """A home of its own in which nothing has been started."""
    made = new_installation(tmp_path / "throughline")
    yield made
    made.call("down")
