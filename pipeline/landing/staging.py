"""Files on their way into the landing zone: found, sorted into logs and catalogues, and copied as lines."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.landing.formats import LINES, read_batches
from pipeline.landing.zone import LandedFile, LandingZone, name_of
from pipeline.sources.schema import Reader, Source


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
    """Stage files that land together. Raises InputError as `stage_file` does, also if two have the same bytes."""
    landed = zone.landed_files(source)
    staged: list[StagedFile] = []
    for path in paths:
        file = stage_file(path, landed, reader, folder)
        landed[file.sha256] = file.landed
        staged.append(file)
    return staged


def stage_file(path: Path, landed: Mapping[str, LandedFile], reader: Reader, folder: Path) -> StagedFile:
    """Copy the lines of a file into a Parquet file in `folder`; see `pipeline.landing.formats.read_batches`.

    landed: the files that have landed or land together with it, by SHA-256.

    Raises InputError if the file cannot be read or unpacked, has landed before, or has a line of more than 64 MiB.
    """
    try:
        with path.open("rb") as raw:
            sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
        name = name_of(path, sha256, landed)
        lines_file = folder / f"{sha256}.parquet"
        lines_file.parent.mkdir(parents=True, exist_ok=True)
        lines = 0
        with pq.ParquetWriter(lines_file, LINES, compression="zstd") as writer:
            for batch in read_batches(path, name, reader):
                writer.write_batch(batch)
                lines += batch.num_rows
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path}: cannot be read as {reader.format}: {error}; nothing of it was landed. "
            f"Check that it is complete, and that its suffix names its compression (.gz, .zst, .bz2 or none)"
        ) from None
    return StagedFile(path, name, sha256, lines, lines_file)
