"""Write files atomically, so that a reader sees the whole file or none of it; lock what one process does at a time."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import ThroughlineError, UsageError
from throughline.stores import is_remote, move, path_of

POLL_SECONDS = 0.2


def place_of(name: str) -> Path:
    """Return a path of this machine or in S3. Raises UsageError for another kind of store."""
    try:
        return path_of(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def keep_private(*folders: Path) -> None:
    """Let this process and those that it starts make files that only their owner may read.

    folders: those that only their owner may enter from now on, whatever the modes of the files that they have.
    """
    os.umask(0o077)
    for folder in folders:
        if folder.is_dir():
            folder.chmod(0o700)


@contextmanager
def locked(path: Path, what: str, wait_seconds: float, is_shared: bool = False) -> Iterator[None]:
    """Hold a lock of this machine during the block; print that another process holds it, and wait.

    The lock ends with the process. what: what the lock is for, in the message. is_shared: others may
    share it meanwhile.

    Raises ThroughlineError if another process still holds it after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_seconds
    has_printed = False
    with path.open("a", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise ThroughlineError(
                        f"another process still holds {path}, after waiting {wait_seconds:.0f} s for {what}: try again "
                        f"when it has ended"
                    ) from None
            if not has_printed:
                print(f"waiting for another process to end {what}", flush=True)
                has_printed = True
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` if the block succeeds, and is deleted if it fails.

    For a path in a store the file lies on this machine.
    """
    if is_remote(path):
        with TemporaryDirectory(prefix="throughline-") as folder:
            yield Path(folder, path.name)
            move(Path(folder, path.name), path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes in containers, which share a folder, may have the same number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str) -> None:
    """Write a text file by a rename; a killed process leaves the old file."""
    with replaced_whole(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_private(path: Path, content: str, only_if_missing: bool = False) -> None:
    """Write a text file that only its owner may read (mode 600 from its first byte).

    only_if_missing: leave a file that exists as it is, also one that another process makes meanwhile.

    In a store, the rights of its bucket say who may read it, and of two processes the later one may win.
    """
    if is_remote(path):
        if not (only_if_missing and path.is_file()):
            write_whole(path, content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    if not only_if_missing:
        temporary.replace(path)
        return
    with suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
