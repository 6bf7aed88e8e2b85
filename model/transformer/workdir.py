"""The working folder of a training: large arrays, and checkpoints from which a killed training resumes."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from throughline.stores import is_remote, remove_folder


@dataclass(frozen=True)
class WorkDir:
    """The folder of one training. It is created when it is first used.

    store: a folder that machines share, or one in S3, for copies of what outlives the process.
    """

    folder: Path | None = None  # None: arrays stay in memory, and there are no checkpoints
    store: Path | None = None

    def part(self, name: str) -> "WorkDir":
        return WorkDir(self.folder / name if self.folder else None, self.store / name if self.store else None)

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a writable array of zeros, memory-mapped if there is a folder.

        Its file has no name, so its space is freed with the array or when the process ends for whatever reason.
        """
        if not self.folder or 0 in shape:
            return np.zeros(shape, np.float32)
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self.folder) as file:
            return np.memmap(file, np.float32, "w+", shape=shape)

    def file(self, name: str) -> Path | None:
        """Return the path of a file that outlives the process; None if there is no folder."""
        if not self.folder:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def clear(self, but: str | None = None) -> None:
        """Remove all parts except `but`, here and in the store, and the folder itself if `but` is None."""
        for folder in (self.folder, self.store):
            if not folder or not folder.is_dir():
                continue
            for part in folder.iterdir():
                if part.name != but:
                    remove_folder(part)
            if but is None and not is_remote(folder):
                folder.rmdir()


IN_MEMORY = WorkDir()
