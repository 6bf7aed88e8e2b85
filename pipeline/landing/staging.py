"""Files on their way into the landing zone: found, sorted into logs and catalogues, and copied as lines."""

import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, is_full_or_broken_disk
from pipeline.landing.archives import UNREADABLE, InputFile, Member, open_file, open_members, with_members
from pipeline.landing.formats import LINES, read_stream
from pipeline.landing.in_place import InPlaceFile, measure
from pipeline.landing.zone import LandedFile, LandingZone, name_of
from pipeline.sources.schema import Reader, Source

MAX_THREADS = 8  # each may hold several copies of a line of 64 MiB


@dataclass(frozen=True)
class StagedFile:
    """A file whose lines are in the Parquet file `lines_file` and have not landed yet."""

    path: InputFile
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

    logs: list[InputFile]
    catalogues: list[InputFile]
    skipped: list[str]


def input_files(paths: Sequence[Path]) -> list[InputFile]:
    """Return the named files and those in the named folders, without hidden ones; of an archive, its members.

    Raises InputError if a path does not exist, or if a folder or an archive holds no file or cannot be unpacked.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; expected the log to land")
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        inside = [file for file in inside if not file.name.startswith((".", "_"))]
        inside = [file for file in inside if file == path or not _is_link_within(file, path)]
        if not inside:
            raise InputError(f"{path}: an empty folder; expected log files in it")
        files.extend(inside)
    with thread_pool() as pool:
        return [file for found in pool.map(with_members, files) for file in found]


def _is_link_within(file: Path, folder: Path) -> bool:
    """Return whether a file in a folder is a link to another file of it, which lands by itself.

    Raises InputError if it leads out of the folder: who may write there could land any file that we can read.
    """
    if not file.is_symlink():
        return False
    target = file.resolve()
    if not target.is_relative_to(folder.resolve()):
        raise InputError(f"{file}: a link to {target}, outside of {folder}: name that file itself, or remove the link")
    return True


def sort_files(files: Sequence[InputFile], source: Source) -> FoundFiles:
    """Sort files into logs and catalogues by the patterns `files` and `items.files` of the source.

    If the name of an archive matches, so do its members; but if some of them match `items.files` themselves, only these
    are catalogues.

    Raises InputError if no file matches.
    """
    catalogues: list[InputFile] = []
    if source.items:
        pattern = source.items.files
        catalogues = [file for file in files if _matches(file, pattern)]
        of_catalogues = {file.archive for file in catalogues if isinstance(file, Member)}
        catalogues += [file for file in files if isinstance(file, Member) and file.archive not in of_catalogues
                       and file.archive.match(pattern)]  # fmt: skip
    logs = [file for file in files if file not in catalogues and (
        _matches(file, source.files) or (isinstance(file, Member) and file.archive.match(source.files)))]  # fmt: skip
    skipped = [file.name for file in files if file not in catalogues and file not in logs]
    if not logs and not catalogues:
        raise InputError(
            f"none of {len(files)} files is one of {source.name}: expected names like files = {source.files!r} "
            f"of its TOML, found {', '.join(skipped[:3])}"
        )
    return FoundFiles(logs, catalogues, skipped)


def _matches(file: InputFile, pattern: str) -> bool:
    """Return whether the end of a path matches a pattern. `match` of a path in a store compares the whole path."""
    return file.match(pattern) if isinstance(file, Member) else PurePosixPath(str(file)).match(pattern)


def stage_files(
    files: Sequence[InputFile],
    zone: LandingZone,
    source: str,
    reader: Reader,
    folder: Path,
    is_again: bool = False,
) -> list[StagedFile]:
    """Stage files that land together, several at once. The members of an archive are read in one pass.

    is_again: a file that has landed gets the name that it had.

    Raises InputError as `stage_file` does, also if two have the same bytes.
    """
    with thread_pool() as pool:
        names = _names(files, zone, source, reader, is_again, pool)
        passes: dict[Path, list[tuple[InputFile, str, str]]] = {}
        for sha256, (file, name) in names.items():
            on_disk = file.archive if isinstance(file, Member) else file
            passes.setdefault(on_disk, []).append((file, name, sha256))
        copies = [pool.submit(_copy_together, together, reader, folder) for together in passes.values()]
        staged = {one.sha256: one for copy in copies for one in copy.result()}
    return [staged[sha256] for sha256 in names]


def measure_files(
    files: Sequence[InputFile], zone: LandingZone, source: str, reader: Reader, is_again: bool = False
) -> list[InPlaceFile]:
    """Return the entries of files that land in place, in their order. For arguments and errors see `stage_files`."""
    with thread_pool() as pool:
        names = _names(files, zone, source, reader, is_again, pool)
        return list(pool.map(lambda sha256: _measure(*names[sha256], sha256, reader), names))


def _measure(file: InputFile, name: str, sha256: str, reader: Reader) -> InPlaceFile:
    assert not isinstance(file, Member), "days_in_place refuses members of archives"
    with _unreadable_as_input_error(file, reader):
        return measure(file, name, sha256, reader)


def _names(
    files: Sequence[InputFile], zone: LandingZone, source: str, reader: Reader, is_again: bool, pool: ThreadPoolExecutor
) -> dict[str, tuple[InputFile, str]]:
    """Return by SHA-256 the files and the names that their lines get, in the order of the files."""
    landed = zone.landed_files(source)
    found: dict[str, tuple[InputFile, str]] = {}
    for file, sha256 in zip(files, pool.map(lambda file: _sha256(file, reader), files), strict=True):
        if sha256 in found:
            raise InputError(
                f"{file}: the same bytes landed already, by this command, as {found[sha256][1]}: nothing was landed; "
                f"leave out one of the two files"
            )
        is_known = is_again and sha256 in landed
        found[sha256] = file, landed[sha256].name if is_known else name_of(file, sha256, landed)
        landed[sha256] = LandedFile(found[sha256][1], lines=0)
    return found


def stage_file(file: InputFile, landed: Mapping[str, LandedFile], reader: Reader, folder: Path) -> StagedFile:
    """Copy the lines of a file into a Parquet file in `folder`; see `pipeline.landing.formats.read_stream`.

    landed: the files that have landed, by SHA-256.

    Raises InputError if the file cannot be read or unpacked, has landed before, or has a line of more than 64 MiB.
    """
    sha256 = _sha256(file, reader)
    return _copy_together([(file, name_of(file, sha256, landed), sha256)], reader, folder)[0]


def _sha256(file: InputFile, reader: Reader) -> str:
    if isinstance(file, Member):
        return file.sha256
    with _unreadable_as_input_error(file, reader), file.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def _copy_together(files: Sequence[tuple[InputFile, str, str]], reader: Reader, folder: Path) -> list[StagedFile]:
    """Copy the lines of a file, or of members of one archive. files: each with its name and SHA-256."""
    first, name, sha256 = files[0]
    with _unreadable_as_input_error(first, reader):
        if not isinstance(first, Member):
            with open_file(first) as content:
                return [_copy_lines(content, first, name, sha256, reader, folder)]
        by_member = {file.member: (file, name, sha256) for file, name, sha256 in files if isinstance(file, Member)}
        return [_copy_lines(content, *by_member[member], reader, folder)
                for member, content in open_members(first.archive, by_member)]  # fmt: skip


def _copy_lines(
    content: io.BufferedReader, file: InputFile, name: str, sha256: str, reader: Reader, folder: Path
) -> StagedFile:
    lines_file = folder / f"{sha256}.parquet"
    lines_file.parent.mkdir(parents=True, exist_ok=True)
    lines = 0
    with _unreadable_as_input_error(file, reader), lines_writer(lines_file) as writer:
        for batch in read_stream(content, file, name, reader, folder):
            writer.write_batch(batch)
            lines += batch.num_rows
    return StagedFile(file, name, sha256, lines, lines_file)


def thread_pool() -> ThreadPoolExecutor:
    """Return threads that read and write files. Arrow, hashing and unpacking run in parallel in them."""
    return ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1))


def lines_writer(file: Path, schema: pa.Schema = LINES) -> pq.ParquetWriter:
    """Return a writer of lines. The texts differ, so a dictionary of them would not be kept."""
    return pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["file", "header"])


@contextmanager
def _unreadable_as_input_error(file: InputFile, reader: Reader) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        if is_full_or_broken_disk(error):
            raise
        raise InputError(
            f"{file}: cannot be read as {reader.format}: {error}; nothing of it was landed. Check that it is complete"
        ) from None
