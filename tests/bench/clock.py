"""A clock that can be set for all processes of a home, by libfaketime. Waiting takes as long as it does."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

READ_SECONDS = 1  # how often a process reads the file of the clock


def library() -> Path | None:
    """Return the library that processes are to load first, if it is installed."""
    spec = find_spec("libfaketime")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    return next((file for folder in folders for file in folder.rglob("libfaketime.so.1")), None)


def why_no_clock() -> str | None:
    """Return what is missing; None: nothing."""
    return None if library() else "libfaketime is not installed; .uv/bin/uv pip install libfaketime==3.0.1"


@dataclass(frozen=True)
class Clock:
    """A clock in a file. first: to what it is set first, in UTC as all moments."""

    file: Path
    first: datetime

    def __post_init__(self) -> None:
        self._set(self.first)

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a process that is to go by this clock."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": str(READ_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    @contextmanager
    def at(self, moment: datetime, folder: Path) -> Iterator[None]:
        """Set the clock, and let it go on from there. Files that the block writes to a folder get their times by it."""
        started = time.time()
        seconds = self._set(moment)
        yield
        ended = time.time()
        for root, _, names in os.walk(folder):
            for name in names:
                try:
                    written = os.lstat(found := Path(root) / name).st_mtime
                    if started <= written <= ended:
                        os.utime(found, (written + seconds, written + seconds), follow_symlinks=False)
                except FileNotFoundError:
                    continue  # a file of a server that runs on

    def _set(self, moment: datetime) -> float:
        """Set the clock; return by how many seconds it differs from the true one."""
        seconds = moment.replace(tzinfo=UTC).timestamp() - time.time()
        self.file.write_text(f"{seconds:+.0f}")
        time.sleep(READ_SECONDS + 0.1)
        return seconds
