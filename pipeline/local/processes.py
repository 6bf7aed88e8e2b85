"""Background processes that outlive the command that starts them.

Each leads its own process group. Its record holds the process id and the start time, so a process that was given the
same id later is never touched. Start times count from the start of the machine, so a change of the clock alters none.
"""

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.files import write_whole

STOP_SECONDS = 30.0
START_FIELD = 19  # of /proc/PID/stat, counted after the name of the program
SIGNAL_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of prctl


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
        write_whole(self.record, record_of(psutil.Process(process.pid)))

    def find(self) -> psutil.Process | None:
        """Return the process, or None if it has ended."""
        if not self.record.is_file():
            return None
        recorded = json.loads(self.record.read_text())
        return _find(recorded["pid"], recorded["began_at"])

    def family(self) -> list[psutil.Process]:
        """Return the process and its descendants; once it has ended, those of its group that outlived it.

        They write to its log. So another group that was given the same number later is never touched.
        """
        if process := self.find():
            return [process, *process.children(recursive=True)]
        if not self.record.is_file():
            return []
        group, log, found = json.loads(self.record.read_text())["pid"], str(self.log.resolve()), []
        for one in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(one.pid) == group and any(file.path == log for file in one.open_files()):
                    found.append(one)
        return found

    def last_lines(self) -> str:
        """Return the end of the log, for an error message."""
        if not self.log.is_file():
            return "no log"
        return " / ".join(self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:])


def process_token() -> str:
    """Return a text that names this process and no other: machine, id, start time, and a random part."""
    here = psutil.Process()
    return f"{machine_name()} {here.pid} {began_at(here):.2f} {secrets.token_hex(8)}"


def has_ended(token: str) -> bool:
    """Return whether a process of this machine has ended. Of another machine nothing is known, so False."""
    parts = token.rsplit(" ", 3)
    if len(parts) != 4 or parts[0] != machine_name():
        return False
    return _find(int(parts[1]), float(parts[2])) is None


def record_of(process: psutil.Process) -> str:
    """Return the record by which a process is found again, as JSON."""
    return json.dumps({"pid": process.pid, "began_at": began_at(process)})


def began_at(process: psutil.Process) -> float:
    """Return when a process started, in seconds since the machine did.

    Unlike psutil's `create_time`, it stays the same when the clock is changed. Only Linux tells it; elsewhere it is the
    `create_time`. Raises psutil.NoSuchProcess if the process has ended.
    """
    if not Path("/proc/self/stat").is_file():
        return process.create_time()
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(process.pid) from None
    return int(fields[START_FIELD]) / os.sysconf("SC_CLK_TCK")


def _find(pid: int, started: float) -> psutil.Process | None:
    """Return the process that has this id and started then, or None if it has ended.

    started: as `began_at` returns it, or a `create_time`, which older versions wrote.
    """
    try:
        process = psutil.Process(pid)
        is_same = any(abs(found - started) < 1 for found in (began_at(process), process.create_time()))
    except psutil.NoSuchProcess:
        return None
    return process if is_same and is_alive(process) else None


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs. One that has ended, and whose parent has not asked for it yet, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def seconds_since_start() -> float:
    """Return the seconds since this machine started, which no change of the clock alters."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def machine_name() -> str:
    """Return a name of this machine, its start and its namespace of process ids, which containers have of their own."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    started = boot.read_text().strip() if boot.is_file() else f"{psutil.boot_time():.0f}"
    return f"{socket.gethostname()} {started} {namespace.readlink() if namespace.exists() else 'host'}"


def stop(backgrounds: Sequence[Background]) -> list[str]:
    """Stop processes together with all their descendants, also of one that was killed; return the names of those that
    were running.

    Each group gets SIGTERM, those of descendants too. What still runs after STOP_SECONDS is killed.
    """
    found = {background.name: family for background in backgrounds if (family := background.family())}
    families = [member for family in found.values() for member in family]
    groups = set(_groups_of(families))
    for group in groups:
        _signal_group(group, signal.SIGTERM)
    _, alive = psutil.wait_procs(families, timeout=STOP_SECONDS)
    for group in groups:
        _signal_group(group, signal.SIGKILL)
    for member in alive:
        if member.is_running():
            member.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
    for background in backgrounds:
        background.record.unlink(missing_ok=True)
    return list(found)


def _groups_of(family: Sequence[psutil.Process]) -> Iterator[int]:
    """Yield the groups of the members of a family; a member may have ended."""
    for member in family:
        with suppress(ProcessLookupError):
            yield os.getpgid(member.pid)


def ends_with_parent() -> Callable[[], None] | None:
    """Return what a new process calls first (`preexec_fn`), so that it gets SIGTERM when this one ends in any way.

    Call it in the thread that starts the process and outlives it. Only Linux can do it; elsewhere it is None.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def call() -> None:
        prctl(SIGNAL_AT_PARENTS_DEATH, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended meanwhile
            os.kill(os.getpid(), signal.SIGTERM)

    return call


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
