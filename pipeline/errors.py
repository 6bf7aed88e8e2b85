"""Errors with an exit code, and how a process prints them.

A message says in one line what was found, what was expected and what to do; more lines may follow, indented.
The exit code says whether a retry can help: 1 the input or a gate failed, 2 wrong usage, 3 anything else. Airflow
retries 3 alone.
"""

import errno
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipeline.escape import printable_lines

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
FAULT_OF_MACHINE = re.compile(
    r"No space left on device|PSQLException|UncheckedSQLException|Connection refused|"
    r"Service(?:Unavailable|Failure)Exception"
)
CLOCK_SET_BACK = re.compile(r"Invalid update timestamp \d+: before last snapshot log entry at (\d+)")  # of Iceberg
MESSAGE_PREFIXES = ("throughline: ", "model: ")  # of the error messages of `pipeline` and of `model`


class ThroughlineError(Exception):
    """An error that a retry may fix: an unreachable server, a lost lease, a full disk."""

    exit_code = 3


class InputError(ThroughlineError):
    """The data or its description is at fault, so a retry cannot help."""

    exit_code = 1


class GateError(InputError):
    """A quality gate found broken rules."""


class SourceError(InputError):
    """A source's TOML is at fault; the message names the file and the key."""


class UsageError(ThroughlineError):
    """The command has wrong arguments or settings."""

    exit_code = 2


def describe(error: Exception) -> str:
    """Return one line for an unexpected error: its root cause, and what to do if a disk or a server is at fault."""
    lines = str(error).strip().splitlines()
    causes = [line.strip().removeprefix("Caused by: ") for line in lines if line.strip().startswith("Caused by: ")]
    plain = [line for line in lines if not line.startswith("An error occurred while calling ")]
    cause = causes[-1] if causes else (plain or [""])[0].strip().removeprefix(": ")
    shown = printable_lines(f"{type(error).__name__}: {cause}" if cause else type(error).__name__)
    if found := CLOCK_SET_BACK.search(str(error)):
        last = datetime.fromtimestamp(int(found[1]) / 1000, UTC)
        return (
            f"the tables were written at {last:%Y-%m-%d %H:%M} UTC by a clock that was ahead, and Iceberg takes no "
            f"earlier commit: set the clock if it is wrong now, else wait until then, or use `throughline backup` and "
            f"`throughline restore`, which sets these times back"
        )
    if is_fault_of_machine(error):
        return (
            f"{shown}; is a disk full, or a database or catalog down? `throughline doctor` says; then run the command "
            f"again"
        )
    return shown


def is_fault_of_machine(error: BaseException) -> bool:
    """Return whether a disk, a database or a catalog is at fault, so that a traceback would say nothing more."""
    is_of_database = type(error).__module__.partition(".")[0] == "psycopg"
    return isinstance(error, OSError) or is_of_database or bool(FAULT_OF_MACHINE.search(str(error)))


def is_full_or_broken_disk(error: BaseException) -> bool:
    """Return whether an operating-system error is none of the file that is read: a full, broken or read-only disk."""
    return isinstance(error, OSError) and error.errno in DISK_ERRORS


class Terminated(BaseException):
    """The process got SIGTERM. It ends what it started, frees the lease and exits with 143."""

    exit_code = 128 + signal.SIGTERM

    def __str__(self) -> str:
        return "ended by SIGTERM; what was not published is not visible, and the same command starts again"


def raise_on_sigterm() -> None:
    """Let SIGTERM raise Terminated in the main thread, so that blocks end in order. A second one changes nothing."""

    def terminate(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)


@contextmanager
def exit_with_message() -> Iterator[None]:
    """Turn an error of the block into its message on standard error and its exit code.

    SIGTERM ends the block in order. An error of another class is unexpected: its traceback follows, unless
    THROUGHLINE_TRACEBACK is 0.
    """
    raise_on_sigterm()
    try:
        yield
    except Terminated as ended:
        print(f"throughline: {ended}", file=sys.stderr, flush=True)
        sys.exit(ended.exit_code)
    except ThroughlineError as error:
        print(f"throughline: {printable_lines(str(error))}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except Exception as unexpected:  # the one place that catches everything, to give it an exit code
        print(f"throughline: {describe(unexpected)}", file=sys.stderr, flush=True)
        if os.environ.get("THROUGHLINE_TRACEBACK", "1") != "0" and not is_fault_of_machine(unexpected):
            traceback.print_exc()
        sys.exit(ThroughlineError.exit_code)
