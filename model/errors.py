"""Errors with a message for the person who runs the command, and an exit code that says if a retry can help."""

import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

ANYTHING_ELSE = 3


class ModelError(Exception):
    """An error that this package explains in one line."""

    exit_code = ANYTHING_ELSE


class InputError(ModelError):
    """The data is at fault; a retry cannot help."""

    exit_code = 1


class UsageError(ModelError):
    """The command line is wrong."""

    exit_code = 2


def require_torch(what: str) -> None:
    """Raise UsageError naming `what` needs torch, unless it is installed; images that do not train lack it."""
    if find_spec("torch") is None:
        raise UsageError(
            f"{what} needs torch, which is not installed here: run it with the image of docker/Dockerfile.gpu, in "
            f"Airflow by the setting gpu_queue, or install the group train of uv.lock"
        )


@contextmanager
def exit_with_message() -> Iterator[None]:
    """End the process with the error's exit code, its message first; any other exception also shows its traceback."""
    try:
        yield
    except ModelError as error:
        print(f"model: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except Exception as surprise:  # the one place that may catch everything: it maps to an exit code
        first_line = (str(surprise) or "no message").splitlines()[0]
        print(f"model: {type(surprise).__name__}: {without_passwords(first_line)}", file=sys.stderr, flush=True)
        print(without_passwords(traceback.format_exc()), file=sys.stderr, flush=True)
        sys.exit(ANYTHING_ELSE)


def without_passwords(text: str) -> str:
    """Hide user and password in every URL: a driver may quote the catalog's address in its error."""
    return re.sub(r"(?<=://)[^@\s/]+@", "***@", text)
