"""Errors with an exit code, and how a process prints them.

A message says in one line what was found, what was expected and what to do; more lines may follow, indented.
The exit code says whether a retry can help: 1 the input or a gate failed, 2 wrong usage, 3 anything else. Airflow
retries 3 alone.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.escape import printable_lines

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
        first_line = printable_lines((str(unexpected) or type(unexpected).__name__).splitlines()[0])
        print(f"throughline: {type(unexpected).__name__}: {first_line}", file=sys.stderr, flush=True)
        if os.environ.get("THROUGHLINE_TRACEBACK", "1") != "0":
            traceback.print_exc()
        sys.exit(ThroughlineError.exit_code)
