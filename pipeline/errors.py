"""What can go wrong, told to the person who meets it.

A message says what was found, what was expected and what to do, in one line; more lines may follow.
The exit code tells the orchestrator whether trying again can help (DESIGN.md 5.1).
"""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

SPEAKERS = ("throughline: ", "model: ")  # how the errors of `pipeline` and of `model` begin


class ThroughlineError(Exception):
    """Anything that a retry may cure: a server that is away, a lease that was lost, a full disk."""

    exit_code = 3


class InputError(ThroughlineError):
    """The data or its description is at fault; trying again cannot help."""

    exit_code = 1


class GateError(InputError):
    """A quality gate found broken rules."""


class SourceError(InputError):
    """A source's TOML is at fault; the message names the file and the key."""


class UsageError(ThroughlineError):
    """The command was called in a way that it does not know."""

    exit_code = 2


@contextmanager
def exit_with_message() -> Iterator[None]:
    """End the process with the error's exit code, its message first; a surprise shows its traceback after."""
    try:
        yield
    except ThroughlineError as error:
        print(f"throughline: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except Exception as surprise:  # the one place that may catch everything: it maps to an exit code
        first_line = (str(surprise) or type(surprise).__name__).splitlines()[0]
        print(f"throughline: {type(surprise).__name__}: {first_line}", file=sys.stderr, flush=True)
        if os.environ.get("THROUGHLINE_TRACEBACK", "1") != "0":
            traceback.print_exc()
        sys.exit(ThroughlineError.exit_code)
