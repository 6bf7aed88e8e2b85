"""Folders on a disk or in S3, under the methods of pathlib, for the pipeline and for the model.

A path in S3 is a `UPath` whose files pyarrow reads and writes, as it does those of PyIceberg: one client, one chain of
credentials. The variables of Amazon's SDKs name region, keys and another server. In S3 a file appears when it is whole.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

SCHEME = "s3://"
COPY_BYTES = 8 << 20
ATTEMPTS = 8  # with growing waits: a server that is away for longer than some 50 s is an error


def path_of(place: str) -> Path:
    """Return a folder or file by its name: a path of this machine, or s3://bucket/folder.

    Raises ValueError for another kind of store.
    """
    if "://" not in place:
        return Path(place)
    if not place.startswith(SCHEME) or not place.removeprefix(SCHEME).split("/")[0]:
        raise ValueError(f"{place}: expected a path of this machine or s3://bucket/folder")
    from upath import UPath

    _register_s3()
    return cast(Path, UPath(place.rstrip("/")))


def s3_endpoint() -> str | None:
    """Return the address of an S3 server other than Amazon's, by the variables of Amazon's SDKs."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def s3_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def is_remote(path: Path) -> bool:
    """Return whether a path lies in an object store."""
    return not isinstance(path, Path)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents. An object store has none: there a folder is the beginning of a name."""
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)


def remove_folder(folder: Path) -> int:
    """Delete a folder with all that it holds; return the number of its files."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    if not is_remote(folder):
        shutil.rmtree(folder)
        return len(files)
    for file in files:
        file.unlink()
    return len(files)


def move(file: Path, to: Path) -> None:
    """Move a file, also to another disk, or between this machine and a store. Other processes see it whole or not."""
    if not is_remote(file) and not is_remote(to):
        try:
            file.replace(to)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    copy_whole(file, to)
    file.unlink()


def copy_whole(file: Path, to: Path) -> None:
    """Copy a file as `copy` does. On a disk, too, other processes see the whole file or none."""
    if is_remote(to):
        copy(file, to)
        return
    beside = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    copy(file, beside)
    if not is_remote(file):
        beside.chmod(file.stat().st_mode & 0o777)
    beside.replace(to)


def copy(file: Path, to: Path) -> None:
    """Copy a file, also between this machine and a store. In a store another process sees the whole file or none."""
    make_folder(to.parent)
    try:
        with file.open("rb") as source, to.open("wb") as target:
            shutil.copyfileobj(cast(IO[bytes], source), target, COPY_BYTES)
    except BaseException:
        to.unlink(missing_ok=True)  # the end of the block has closed it, and so made a part of it visible
        raise


def content_of(file: Path) -> Any:
    """Return what pyarrow reads a file by: its path, or the open file if it lies in a store."""
    return file.open("rb") if is_remote(file) else file


@contextmanager
def fetched(paths: list[Path], folder: Path) -> Iterator[list[Path]]:
    """Yield the paths with copies in place of those in a store, which the end of the block deletes.

    folder: where the copies are made; they have the names of the originals.
    """
    make_folder(folder)
    with TemporaryDirectory(dir=folder, prefix="fetched-") as temporary:
        yield [_fetch(path, Path(temporary, str(number))) if is_remote(path) else path
               for number, path in enumerate(paths)]  # fmt: skip


def _fetch(path: Path, folder: Path) -> Path:
    """Copy a file, or all files of a folder, from a store; return the copy. A path that is not there has none."""
    copied = folder / path.name
    inside = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in inside:
        copy(file, copied if file == path else copied / str(file).removeprefix(f"{path}/"))
    return copied


@cache
def _register_s3() -> None:
    import fsspec
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    class S3(ArrowFSWrapper):  # type: ignore[misc]  # fsspec has no types
        """S3 by pyarrow."""

        protocol = ("s3",)
        cachable = False  # tests change the variables

        def __init__(self, **_: Any) -> None:
            patience = AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)
            server = {"endpoint_override": s3_endpoint(), "region": s3_region()}
            super().__init__(S3FileSystem(**server, retry_strategy=patience))

        # A server that does not answer is an error. For fsspec it is a file that is not there, so that a night would
        # count the day as empty.
        def isdir(self, path: str) -> bool:
            return self._kind_of(path) == "directory"

        def isfile(self, path: str) -> bool:
            return self._kind_of(path) == "file"

        def walk(self, path: str, *arguments: Any, **options: Any) -> Iterator[Any]:
            yield from super().walk(path, *arguments, **{**options, "on_error": _raise_unless_missing})

        def _kind_of(self, path: str) -> str | None:
            try:
                return str(self.info(path)["type"])
            except FileNotFoundError:
                return None

        @classmethod
        def _parent(cls, path: str) -> str:
            """Return the folder of a path. That of the wrapper needs an instance, and UPath has none."""
            return path.rstrip("/").rpartition("/")[0]

    fsspec.register_implementation("s3", S3, clobber=True)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
