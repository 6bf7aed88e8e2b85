"""The points at which a command is broken: which one, when, what ends, and how."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

READERS = 50  # of `make chaos`
KILL, TERM = signal.SIGKILL, signal.SIGTERM
SUBMIT = {"THROUGHLINE_SPARK_ENGINE": "submit"}
# What happens to a commit that its process asked for before it ended: it happens, it does not, or it happens while the
# same command runs again.
Fate = Literal["happens", "dropped", "late"]


@dataclass(frozen=True)
class Point:
    """A point at which a command is broken.

    step: the step of the night, or the command `maintain`. commit: of the step, counted from 1; the process ends while
    it waits for this commit; 0: when the step begins. submit: with a process of `spark-submit` per job. exit_code: that
    the command must end with.
    """

    step: str
    commit: int
    ended: Literal["client", "engine", "PostgreSQL", "model", "job"]
    by: signal.Signals
    exit_code: int
    fate: Fate = "happens"
    submit: bool = False

    def __str__(self) -> str:
        """Name it in tables."""
        moment = f"commit {self.commit} {self.fate}" if self.commit else "begins"
        engine = ", spark-submit" if self.submit else ""
        return f"{self.step}, {moment}: {self.ended} {self.by.name}{engine}"


# Commits of a night before those of a step. Each step makes the branches of its tables, then writes them. `publish`
# moves main of eight tables (1 to 8), adds the release (9), and drops the branches (10 to 17).
# Maintenance after a night expires snapshots of two tables at least, a commit each.
COMMITS_BEFORE = {
    "clean": 0,
    "sessions": 10,
    "sequences": 13,
    "profiles": 16,
    "audit": 19,
    "publish": 20,
    "maintain": 0,
}

SHORT: Sequence[Point] = (
    Point("clean", 6, "client", KILL, -KILL, "late"),
    Point("sequences", 2, "engine", KILL, 3, "dropped"),
    Point("publish", 9, "PostgreSQL", KILL, 3, "dropped"),
)
MORE: Sequence[Point] = (
    Point("clean", 1, "client", TERM, 143, "dropped"),
    Point("clean", 7, "engine", KILL, 3),
    Point("clean", 10, "PostgreSQL", KILL, 3),
    Point("sessions", 1, "client", KILL, -KILL, "dropped"),
    Point("sessions", 2, "client", KILL, -KILL, "late"),
    Point("sessions", 3, "engine", TERM, 3),
    Point("sequences", 1, "client", TERM, 143),
    Point("sequences", 3, "PostgreSQL", TERM, 3),
    Point("score", 0, "client", KILL, -KILL),
    Point("profiles", 1, "engine", KILL, 3),
    Point("profiles", 2, "client", KILL, -KILL, "late"),
    Point("profiles", 3, "client", KILL, -KILL, "dropped"),
    Point("audit", 1, "engine", KILL, 3, "dropped"),
    Point("publish", 1, "client", KILL, -KILL, "dropped"),
    Point("publish", 2, "engine", KILL, 3),
    Point("publish", 3, "client", TERM, 143),
    Point("publish", 5, "client", KILL, -KILL, "late"),
    Point("publish", 7, "engine", KILL, 3, "dropped"),
    Point("publish", 8, "client", KILL, -KILL),
    Point("publish", 9, "client", KILL, -KILL, "late"),
    Point("publish", 10, "engine", KILL, 3),
    Point("publish", 14, "client", TERM, 143),
    Point("maintain", 2, "client", KILL, -KILL),
    Point("maintain", 1, "engine", KILL, 3, "dropped"),
    Point("maintain", 2, "client", KILL, -KILL, "late"),
    Point("maintain", 1, "PostgreSQL", KILL, 3),
    Point("clean", 8, "job", KILL, 3, submit=True),
    Point("sessions", 2, "client", KILL, -KILL, submit=True),
    Point("score", 0, "model", KILL, 3, submit=True),
)
