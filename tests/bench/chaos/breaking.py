"""Break a command at a point, run the same command again, and compare with an undisturbed twin."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psutil

from pipeline.runner.commands import TASKS
from tests.bench.chaos.commit_pause import CommitPause, pause_before
from tests.bench.chaos.home import ChaosHome, Readers, Running
from tests.bench.chaos.points import COMMITS_BEFORE, SUBMIT, Point

ENGINE_ENDED = "the Spark engine ended while"
LATE_SECONDS = 4.0  # into the second run


@dataclass(frozen=True)
class Outcome:
    """What came of a point.

    table: that of the commit at which it was broken; empty: at none. exit_code: of the broken command. seconds: of the
    same command, run again. faults: what differs from what must be, none if all is well. polls: of the readers.
    """

    point: str
    table: str
    exit_code: int
    seconds: float
    polls: int
    faults: Sequence[str]


def break_at(
    point: Point,
    home: ChaosHome,
    command: Sequence[str],
    expected: Mapping[str, str],
    day: date | None = None,
    readers: int = 2,
) -> Outcome:
    """Run a command, break it at the point, and run it again; return what came of it.

    command: a night, or `maintain`. expected: fingerprints of an undisturbed twin afterwards; of the rows of `day` if
    one is given. readers: how many poll meanwhile.
    """
    polls, before = Readers(home, readers), home.counts()
    with polls.polling(), _started(point, home, command) as (running, pause):
        table = pause.wait(lambda: running.process.poll() is None) if pause else ""
        reached = table is not None
        if reached:
            home.victim(point.ended, psutil.Process(running.process.pid)).send_signal(point.by)
        if pause and point.fate != "late":
            pause.drop() if point.fate == "dropped" else pause.let_go()
        exit_code, printed = running.end()
        orphans = home.orphans()
        began = time.monotonic()
        again = home.start(*command, **(SUBMIT if point.submit else {}))
        if pause and point.fate == "late":
            time.sleep(LATE_SECONDS)
            pause.let_go()
        repeated, printed_again = again.end()
        seconds = time.monotonic() - began
    found = home.fingerprints(day)
    faults = [
        *([] if reached else [f"the point was not reached: {printed[-300:]}"]),
        *([] if exit_code == point.exit_code else [f"exit code {exit_code}: {printed[-400:]}"]),
        *([] if ENGINE_ENDED in printed or point.ended != "engine" else [f"not said why: {printed[-400:]}"]),
        *([f"Traceback: {printed[-600:]}"] if "Traceback" in printed + printed_again else []),
        *(f"after the broken command: {one}" for one in orphans),
        *([] if repeated == 0 else [f"again: exit code {repeated}: {printed_again[-600:]}"]),
        *(f"{name} differs from the twin" for name in expected if found[name] != expected[name]),
        *home.leftovers(),
        *polls.saw_other_than(before, home.counts()),
    ]
    return Outcome(str(point), table or "", exit_code, round(seconds, 1), len(polls.seen), faults)


@contextmanager
def _started(point: Point, home: ChaosHome, command: Sequence[str]) -> Iterator[tuple[Running, CommitPause | None]]:
    """Start the command; yield it with the pause of the point's commit, or when the point's step begins."""
    variables = SUBMIT if point.submit else {}
    if point.commit:
        with pause_before(home.catalog_url, COMMITS_BEFORE[point.step] + point.commit) as pause:
            yield home.start(*command, **variables), pause
        return
    running = home.start(*command, **variables)
    running.has_printed(f"✓ {TASKS[TASKS.index(point.step) - 1]}")
    yield running, None
