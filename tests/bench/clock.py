"""A clock that can be set for all processes of a home. How long something takes is measured by the true one.

The library that they load first is made of `clock.c`: libfaketime, tried before, made Spark many times slower.
"""

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CODE = Path(__file__).with_suffix(".c")
TICK_SECONDS = 0.02  # a file gets the time of the last tick of the system


def why_no_clock() -> str | None:
    """Return what is missing; None: nothing."""
    return None if shutil.which("cc") else "there is no C compiler `cc` on the PATH"


@dataclass(frozen=True)
class Clock:
    """A clock in a folder. first: to what it is set first, in UTC as all moments."""

    folder: Path
    first: datetime

    def __post_init__(self) -> None:
        self.folder.mkdir()
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(self._library), str(CODE), "-ldl"], check=True)
        self._set(self.first)
        # The account of PostgreSQL loads it, too.
        for path, mode in ((self._library, 0o755), (self._offset, 0o644), (self.folder, 0o755)):
            path.chmod(mode)
        self.folder.parent.chmod(0o711)

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a process that is to go by this clock."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET": str(self._offset)}

    @contextmanager
    def at(self, moment: datetime, home: Path) -> Iterator[None]:
        """Set the clock, and let it go on from there. Files that the block writes to a home get their times by it."""
        started = time.time() - TICK_SECONDS
        seconds = self._set(moment)
        yield
        ended = time.time()
        for root, _, names in os.walk(home):
            for name in names:
                file = Path(root) / name
                try:
                    written = os.lstat(file).st_mtime
                    if started <= written <= ended:
                        os.utime(file, (written + seconds, written + seconds), follow_symlinks=False)
                except FileNotFoundError:  # of a server that runs on
                    continue

    @property
    def _library(self) -> Path:
        return self.folder / "clock.so"

    @property
    def _offset(self) -> Path:
        return self.folder / "offset"

    def _set(self, moment: datetime) -> int:
        """Set the clock; return by how many seconds it differs from the true one."""
        seconds = round(moment.replace(tzinfo=UTC).timestamp() - time.time())
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:  # processes have it mapped
            file.write(struct.pack("=q", seconds))
        return seconds
