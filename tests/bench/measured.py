"""Run a process to its end; tell its seconds, its processor time and the most memory that it and its children had."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Measured:
    """What one process took, its children (Spark's JVM and Python) included."""

    seconds: float
    cpu_seconds: float
    peak_gib: float
    peak_own_gib: float  # less pages of files, which the system takes back when it needs them


def measured(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Measured:
    """Run a command line; what it prints goes to `log`.

    Raises RuntimeError with the end of the log if it fails: a benchmark of a failure says nothing.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(arguments, env=dict(environment), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    peak = _Peak(process.pid)
    peak.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    finally:
        peak.is_done.set()
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen need not wait for it
    if process.returncode != 0:
        end = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
        raise RuntimeError(f"{' '.join(arguments)}: exit code {process.returncode}; the end of {log}:\n{end}")
    peak.join()
    return Measured(
        round(time.monotonic() - started, 2),
        round(usage.ru_utime + usage.ru_stime, 2),
        round(peak.bytes / 2**30, 2),
        round(peak.own_bytes / 2**30, 2),
    )


class _Peak(threading.Thread):
    """Adds up the resident memory of a process and its children, time and again."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.bytes = self.own_bytes = 0
        self.is_done = threading.Event()

    def run(self) -> None:
        while not self.is_done.wait(SAMPLE_SECONDS):
            try:
                root = psutil.Process(self.pid)
                family = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            held = [_held(one) for one in family]
            self.bytes = max(self.bytes, sum(resident for resident, _ in held))
            self.own_bytes = max(self.own_bytes, sum(resident - of_files for resident, of_files in held))


def _held(process: psutil.Process) -> tuple[int, int]:
    """Return the resident bytes, and those among them that lie in files as well, where the system tells them apart."""
    try:
        memory = process.memory_info()
        return int(memory.rss), int(getattr(memory, "shared", 0))
    except psutil.Error:
        return 0, 0
