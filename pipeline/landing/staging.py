"""Files on their way into the landing zone: found, sorted into logs and catalogues, and copied as lines."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.landing.formats import LINES, read_batches
from pipeline.landing.zone import LandedFile, LandingZone, name_of
from pipeline.sources.schema import Reader, Source

MAX_THREADS = 8  # each may hold several copies of a line of 64 MiB


@dataclass(frozen=True)
class StagedFile:
    """A file whose lines are in the Parquet file `lines_file` and have not landed yet."""

    path: Path
    name: str
    sha256: str
    lines: int
    lines_file: Path

    @property
    def landed(self) -> LandedFile:
        """What the landing zone records of it."""
        return LandedFile(self.name, self.lines)


@dataclass(frozen=True)
class FoundFiles:
    """Files to land, by kind; `skipped` are the names of the others."""

    logs: list[Path]
    catalogues: list[Path]
    skipped: list[str]


def input_files(paths: Sequence[Path]) -> list[Path]:
    """Return the named files and those in the named folders, without hidden ones.

    Raises InputError if a path does not exist or a folder holds no file.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; expected the log to land")
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        inside = [file for file in inside if not file.name.startswith((".", "_"))]
        if not inside:
            raise InputError(f"{path}: an empty folder; expected log files in it")
        files.extend(inside)
    return files


def sort_files(files: Sequence[Path], source: Source) -> FoundFiles:
    """Sort files into logs and catalogues by the patterns `files` and `items.files` of the source.

    Raises InputError if no file matches.
    """
    catalogues = [file for file in files if source.items and file.match(source.items.files)]
    logs = [file for file in files if file not in catalogues and file.match(source.files)]
    skipped = [file.name for file in files if file not in catalogues and file not in logs]
    if not logs and not catalogues:
        raise InputError(
            f"none of {len(files)} files is one of {source.name}: expected names like files = {source.files!r} "
            f"of its TOML, found {', '.join(skipped[:3])}"
        )
    return FoundFiles(logs, catalogues, skipped)


def stage_files(
    paths: Sequence[Path], zone: LandingZone, source: str, reader: Reader, folder: Path
) -> list[StagedFile]:
    """Stage files that land together, several at once.

    Raises InputError as `stage_file` does, also if two have the same bytes.
    """
    landed = zone.landed_files(source)
    with thread_pool() as pool:
        digests = list(pool.map(lambda path: _sha256(path, reader), paths))
        names: dict[str, str] = {}
        for path, sha256 in zip(paths, digests, strict=True):
            if sha256 in names:
                raise InputError(
                    f"{path}: the same bytes landed already, by this command, as {names[sha256]}: nothing was landed; "
                    f"leave out one of the two files"
                )
            names[sha256] = name_of(path, sha256, landed)
            landed[sha256] = LandedFile(names[sha256], lines=0)
        copies = [pool.submit(_copy_lines, path, names[sha256], sha256, reader, folder)
                  for path, sha256 in zip(paths, digests, strict=True)]  # fmt: skip
        return [copy.result() for copy in copies]


def stage_file(path: Path, landed: Mapping[str, LandedFile], reader: Reader, folder: Path) -> StagedFile:
    """Copy the lines of a file into a Parquet file in `folder`; see `pipeline.landing.formats.read_batches`.

    landed: the files that have landed, by SHA-256.

    Raises InputError if the file cannot be read or unpacked, has landed before, or has a line of more than 64 MiB.
    """
    sha256 = _sha256(path, reader)
    return _copy_lines(path, name_of(path, sha256, landed), sha256, reader, folder)


def _sha256(path: Path, reader: Reader) -> str:
    with _unreadable_as_input_error(path, reader), path.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def _copy_lines(path: Path, name: str, sha256: str, reader: Reader, folder: Path) -> StagedFile:
    lines_file = folder / f"{sha256}.parquet"
    lines_file.parent.mkdir(parents=True, exist_ok=True)
    lines = 0
    with _unreadable_as_input_error(path, reader), lines_writer(lines_file) as writer:
        for batch in read_batches(path, name, reader):
            writer.write_batch(batch)
            lines += batch.num_rows
    return StagedFile(path, name, sha256, lines, lines_file)


def thread_pool() -> ThreadPoolExecutor:
    """Return threads that read and write files. Arrow, hashing and unpacking run in parallel in them."""
    return ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1))


def lines_writer(file: Path, schema: pa.Schema = LINES) -> pq.ParquetWriter:
    """Return a writer of lines. The texts differ, so a dictionary of them would not be kept."""
    return pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["file", "header"])


@contextmanager
def _unreadable_as_input_error(path: Path, reader: Reader) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path}: cannot be read as {reader.format}: {error}; nothing of it was landed. "
            f"Check that it is complete, and that its suffix names its compression (.gz, .zst, .bz2 or none)"
        ) from None
