"""Where a training keeps what is too large for memory, and what a killed one goes on from."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WorkDir:
    """A folder of one training; made when something is kept."""

    folder: Path | None = None  # None: all is kept in memory, and there is nothing to go on from

    def part(self, name: str) -> "WorkDir":
        return WorkDir(self.folder / name) if self.folder else self

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return zeros to be written to, on disk if there is a folder; the space is free again when they are let go,
        or the process ends, in whatever way."""
        if not self.folder or 0 in shape:
            return np.zeros(shape, np.float32)
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self.folder) as file:
            return np.memmap(file, np.float32, "w+", shape=shape)

    def file(self, name: str) -> Path | None:
        """Return where something may be kept from one try to the next; None where nothing is."""
        if not self.folder:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def clear(self, but: str | None = None) -> None:
        """Remove all that is kept, except a part."""
        if not self.folder or not self.folder.is_dir():
            return
        for part in self.folder.iterdir():
            if part.name != but:
                shutil.rmtree(part)
        if but is None:
            self.folder.rmdir()


IN_MEMORY = WorkDir()
