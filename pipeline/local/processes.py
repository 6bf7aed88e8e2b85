"""Background processes that outlive the command that starts them.

Each leads its own process group. Its record holds the process id and the start time, so a process that was given the
same id later is never touched.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.files import write_whole

STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Background:
    """A background process, running or not."""

    name: str
    record: Path
    log: Path

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the process in its own group, with its output in `log`, and write its record."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                list(arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began_at = psutil.Process(process.pid).create_time()
        write_whole(self.record, json.dumps({"pid": process.pid, "began_at": began_at}))

    def find(self) -> psutil.Process | None:
        """Return the process, or None if it has ended."""
        if not self.record.is_file():
            return None
        recorded = json.loads(self.record.read_text())
        try:
            process = psutil.Process(recorded["pid"])
            is_same = abs(process.create_time() - recorded["began_at"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if is_same else None

    def last_lines(self, lines: int = 3) -> str:
        """Return the end of the log, for an error message."""
        if not self.log.is_file():
            return "no log"
        return " / ".join(self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:])


def process_token() -> str:
    """Return a text that names this process and no other: machine, id, start time, and a random part."""
    here = psutil.Process()
    return f"{_machine()} {here.pid} {here.create_time():.2f} {secrets.token_hex(8)}"


def has_ended(token: str) -> bool:
    """Return whether a process of this machine has ended. Of another machine nothing is known, so False."""
    parts = token.rsplit(" ", 3)
    if len(parts) != 4 or parts[0] != _machine():
        return False
    try:
        process = psutil.Process(int(parts[1]))
        return abs(process.create_time() - float(parts[2])) > 1 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _machine() -> str:
    """Return a name of this machine, its start and its namespace of process ids, which containers have of their own."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    started = boot.read_text().strip() if boot.is_file() else f"{psutil.boot_time():.0f}"
    return f"{socket.gethostname()} {started} {namespace.readlink() if namespace.exists() else 'host'}"


def stop(backgrounds: Sequence[Background]) -> list[str]:
    """Stop processes together with all their descendants; return the names of those that were running.

    Each group gets SIGTERM. What still runs after STOP_SECONDS is killed.
    """
    found = {background.name: process for background in backgrounds if (process := background.find())}
    families = [member for process in found.values() for member in (process, *process.children(recursive=True))]
    for process in found.values():
        _signal_group(process.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(families, timeout=STOP_SECONDS)
    for process in found.values():
        _signal_group(process.pid, signal.SIGKILL)
    for member in alive:
        if member.is_running():
            member.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
    for background in backgrounds:
        background.record.unlink(missing_ok=True)
    return list(found)


def end_group(process: subprocess.Popen[str]) -> None:
    """End a process that leads a group, with all of the group: by SIGTERM, and after STOP_SECONDS by SIGKILL."""
    _signal_group(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
