"""Where the files of the model registry lie: in the home, in a folder that machines share, or in S3."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from model.errors import InputError
from throughline.stores import copy, is_remote, make_folder, path_of, remove_folder


@dataclass(frozen=True)
class RegistryFiles:
    """The folders of a registry. Versions in S3 are loaded from copies in `<home>/mlruns/models`.

    store: a folder outside of the home, or s3://bucket/folder; empty: none.
    """

    home: Path
    store: str = ""

    @property
    def place(self) -> Path:
        """The folder of all files; one in S3 has the methods of a path, see `throughline.stores`."""
        return path_of(self.store) if self.store else self.home / "mlruns"

    @property
    def here(self) -> Path:
        """The folder on this machine, which may be `place`."""
        return self.home / "mlruns" if is_remote(self.place) else self.place

    @property
    def pages(self) -> Path:
        """The folder of the pages of trainings, which people open."""
        return (self.place if self.store else self.home) / "trainings"

    @property
    def checkpoints(self) -> Path | None:
        """The folder of the checkpoints of trainings that any machine resumes; None without a store."""
        return self.place / "checkpoints" if self.store else None

    def kept(self, version: str) -> Path:
        """Return where the files of a version are kept."""
        return self.place / "models" / version

    def keep(self, version: str, write: Callable[[Path], None]) -> str:
        """Keep what `write` puts into the folder that it is given; return its digest. It is whole, or not there."""
        folder, in_the_making = self.here / "models" / version, self.here / "models" / ".unfinished"
        for leftover in (folder, in_the_making):
            shutil.rmtree(leftover, ignore_errors=True)
        in_the_making.mkdir(parents=True)
        write(in_the_making)
        found = digest(in_the_making)
        in_the_making.rename(folder)
        if is_remote(self.place):
            remove_folder(self.kept(version))
            for file in folder.iterdir():
                copy(file, self.kept(version) / file.name)
        return found

    def load(self, version: str, expected: str) -> Path:
        """Return the files of a version on this machine; fetch them from S3.

        expected: their digest. Raises InputError if they have another.
        """
        folder = self.here / "models" / version
        found = digest(folder)
        if found != expected and is_remote(self.place):
            found = self._fetch(version, expected)
        if found != expected:
            raise InputError(
                f"the model in {self.kept(version)} is not the one registered as {version}: found sha256 {found}, "
                f"expected {expected}; restore the folder, train again, or score with --model none"
            )
        return folder

    def _fetch(self, version: str, expected: str) -> str:
        """Copy the files of a version to this machine, unless another process has just done so; return their digest."""
        folder, fetched = self.here / "models" / version, self.here / "models" / f".{version}.fetched"
        with self.locked():
            if digest(folder) != expected:
                for leftover in (folder, fetched):
                    shutil.rmtree(leftover, ignore_errors=True)
                fetched.mkdir(parents=True)
                for file in self.kept(version).iterdir():
                    copy(file, fetched / file.name)
                fetched.rename(folder)
            return digest(folder)

    def artifact(self, run_id: str, name: str) -> Path:
        """Return where MLflow looks for a file of a run. Its folder is there."""
        folder = self.place / "artifacts" / run_id / "artifacts"
        make_folder(folder)
        return folder / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process of this machine at a time run the block; the lock of a killed one is gone with it."""
        self.here.mkdir(parents=True, exist_ok=True)
        with (self.here / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def address(path: Path) -> str:
    """Return the URI of a folder, as MLflow notes it."""
    return str(path) if is_remote(path) else path.resolve().as_uri()


def digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of the files of a folder of this machine."""
    if not folder.is_dir():
        return "no such folder"
    checksum = sha256()
    for file in sorted(folder.iterdir()):
        checksum.update(f"{file.name}\n{sha256(file.read_bytes()).hexdigest()}\n".encode())
    return checksum.hexdigest()
