"""Run a process; measure its seconds, its CPU time and the peak memory of it and its children."""

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
class Measurement:
    """The cost of one process and its children (Spark's JVM and Python)."""

    seconds: float
    cpu_seconds: float
    peak_gib: float
    peak_own_gib: float  # without pages of files, which the system can reclaim


def measured(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Measurement:
    """Run a command line; its output goes to `log`.

    Raises RuntimeError with the end of the log if it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(arguments, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    peak = _Peak(process.pid)
    peak.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    finally:
        peak.is_done.set()
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen does not wait for it
    if process.returncode != 0:
        end = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
        raise RuntimeError(f"{' '.join(arguments)}: exit code {process.returncode}; the end of {log}:\n{end}")
    peak.join()
    return Measurement(
        round(time.monotonic() - started, 2),
        round(usage.ru_utime + usage.ru_stime, 2),
        round(peak.bytes / 2**30, 2),
        round(peak.own_bytes / 2**30, 2),
    )


class _Peak(threading.Thread):
    """Samples the resident memory of a process and its children."""

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
    """Return the resident bytes, and those of them that belong to files, where the system distinguishes them."""
    try:
        memory = process.memory_info()
        return int(memory.rss), int(getattr(memory, "shared", 0))
    except psutil.Error:
        return 0, 0
