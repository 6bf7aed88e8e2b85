"""The landing zone: every line that came in, by source and arrival day.

landing/<source>/source.toml             the TOML that the lines were landed with, or a mended one
landing/<source>/mended/<run>.toml        a mended TOML that only this run goes by, until it is published
landing/<source>/<arrival day>/*.parquet  lines: file, line, text, header
landing/<source>/<arrival day>/_LANDED    JSON: lines and sha256; closes the day
landing/<source>/items/*.parquet          lines of catalogues, in the order of their names
landing/<source>/files/<sha256>.json      one a file taken, so that the same bytes are refused
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, SourceError
from pipeline.files import write_whole
from pipeline.sources.schema import Reader, Source, load_source

SOURCE_FILE = "source.toml"
LINES = pa.schema([("file", pa.string()), ("line", pa.int64()), ("text", pa.string()), ("header", pa.string())])
LINES_PER_BATCH = 50_000
LETTERS_PER_BATCH = 64 << 20  # Arrow holds 2 GiB of text in one batch
ROWS_PER_READ = 8_192
LONGEST_LINE = 64 << 20  # bytes
LONGEST_HEADER = 1 << 20  # letters; it is kept beside every line
COMPRESSIONS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}


@dataclass(frozen=True)
class LandedDay:
    """A closed arrival day of one source."""

    source: str
    day: date
    lines: int
    sha256: str


@dataclass(frozen=True)
class StagedFile:
    """A file whose lines lie in `lines_file`, not yet landed."""

    path: Path
    name: str
    sha256: str
    lines: int
    lines_file: Path


class LandingZone:
    """Reads and closes days; the lines themselves are written by the job `land`.

    run_id: the run that reads it, which goes by the TOMLs that were mended for it.
    """

    def __init__(self, root: Path, run_id: str | None = None) -> None:
        self.root = root
        self.run_id = run_id

    def sources(self) -> dict[str, Source]:
        """Return the landed sources by name, by the TOML that they landed with last, or that was mended since."""
        return {folder.name: load_source(self._read_by_run(folder)) for folder in self._source_folders()}

    def source_files(self) -> list[Path]:
        """Return the TOML of each source, in order of their names."""
        return [self._read_by_run(folder) for folder in self._source_folders()]

    def replace_source(self, toml: Path, run_id: str) -> None:
        """Keep a mended TOML for a run: nobody else reads it until the run takes it over. See `require_replaceable`."""
        source = load_source(toml)
        self.require_replaceable(source, toml)
        write_whole(self.replaced_file(source.name, run_id), toml.read_text(encoding="utf-8"))

    def take_over_replaced(self) -> None:
        """Put the TOMLs that were mended for this run in place of the former ones. The run must hold the lease."""
        for folder in self._source_folders():
            replaced = self._read_by_run(folder)
            if replaced.name != SOURCE_FILE:
                replaced.replace(folder / SOURCE_FILE)

    def replaced_file(self, source: str, run_id: str) -> Path:
        return self.root / source / "mended" / f"{run_id}.toml"

    def replaced_files(self, source: str) -> list[Path]:
        """Return the mended TOMLs that no run has taken over: of a run at work, or left by one that was killed."""
        return sorted((self.root / source / "mended").glob("*.toml"))

    def require_replaceable(self, source: Source, toml: Path) -> None:
        """Raise SourceError if the TOML is of a source that has not landed, or would cut files into other lines."""
        file = self.root / source.name / SOURCE_FILE
        if not file.is_file():
            landed = ", ".join(folder.name for folder in self._source_folders()) or "none"
            raise SourceError(
                f"{toml}: no source {source.name!r} has landed: landed are {landed}; check the key 'name'"
            )
        cut, replaced = (_cut_by(one.reader) for one in (load_source(file), source))
        for key, before in cut.items():
            if replaced[key] != before:
                raise SourceError(
                    f"{toml}: key 'reader.{key}' = {replaced[key]!r}, but the files of {source.name} were cut into "
                    f"lines by {before!r}: replayed lines cannot be cut anew; land the files in a new THROUGHLINE_HOME"
                )

    def _source_folders(self) -> list[Path]:
        return [file.parent for file in sorted(self.root.glob(f"*/{SOURCE_FILE}"))]

    def _read_by_run(self, folder: Path) -> Path:
        replaced = self.replaced_file(folder.name, self.run_id) if self.run_id else None
        return replaced if replaced and replaced.is_file() else folder / SOURCE_FILE

    def days(self, source: str) -> dict[date, LandedDay]:
        """Return the closed days of a source, oldest first."""
        markers = sorted((self.root / source).glob("*/_LANDED"))
        landed = [(date.fromisoformat(marker.parent.name), json.loads(marker.read_text())) for marker in markers]
        return {day: LandedDay(source, day, told["lines"], told["sha256"]) for day, told in landed}

    def day_folder(self, source: str, day: date) -> Path:
        return self.root / source / day.isoformat()

    def items_folder(self, source: str) -> Path:
        return self.root / source / "items"

    def close_day(self, source: str, day: date) -> None:
        """Write `_LANDED` from what lies in the day's folder."""
        files = sorted(self.day_folder(source, day).glob("*.parquet"))
        lines = sum(pq.read_metadata(file).num_rows for file in files)
        digest = hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()
        write_whole(self.day_folder(source, day) / "_LANDED", json.dumps({"lines": lines, "sha256": digest}))

    def file_name(self, source: str, path: Path, sha256: str, beside: Sequence[StagedFile] = ()) -> str:
        """Return the name under which a file's lines are known: its own, unless other bytes have that already.

        beside: the files that land together with it.

        Raises InputError if the same bytes have landed before, or land twice.
        """
        taken = {file.stem: json.loads(file.read_text()) for file in (self.root / source / "files").glob("*.json")}
        taken |= {staged.sha256: {"name": staged.name, "lines": staged.lines} for staged in beside}
        if sha256 in taken:
            raise InputError(
                f"{path}: the same bytes landed already, as {taken[sha256]['name']} ({taken[sha256]['lines']} lines): "
                f"nothing was done; to run its days again, use `throughline run`"
            )
        is_taken = path.name in {entry["name"] for entry in taken.values()}
        return f"{path.name}~{sha256[:8]}" if is_taken else path.name

    def remember(self, source: str, staged: StagedFile) -> None:
        """Note that a file has landed; the last act of landing it."""
        entry = {"name": staged.name, "lines": staged.lines}
        write_whole(self.root / source / "files" / f"{staged.sha256}.json", json.dumps(entry))


def _cut_by(reader: Reader) -> dict[str, object]:
    """Return what decides into which lines a file is cut when it lands."""
    is_parquet = "parquet" if reader.format == "parquet" else "lines of text"
    return {"format": is_parquet, "header": reader.header, "encoding": reader.encoding}


def input_files(paths: list[Path]) -> list[Path]:
    """Return the files named, and those in the folders named, hidden ones left out.

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


@dataclass(frozen=True)
class FoundFiles:
    """Files to land, by what they are."""

    logs: list[Path]
    catalogues: list[Path]
    passed_over: list[str]


def sort_files(files: Sequence[Path], source: Source) -> FoundFiles:
    """Tell logs from catalogues by the patterns of the source.

    Raises InputError if no file matches any of them.
    """
    catalogues = [file for file in files if source.items and file.match(source.items.files)]
    logs = [file for file in files if file not in catalogues and file.match(source.files)]
    passed_over = [file.name for file in files if file not in catalogues and file not in logs]
    if not logs and not catalogues:
        raise InputError(
            f"none of {len(files)} files is one of {source.name}: expected names like files = {source.files!r} "
            f"of its TOML, found {', '.join(passed_over[:3])}"
        )
    return FoundFiles(logs, catalogues, passed_over)


def stage_files(
    paths: Sequence[Path], zone: LandingZone, source: str, reader: Reader, folder: Path
) -> list[StagedFile]:
    """Stage files that land together; see `stage_file`."""
    staged: list[StagedFile] = []
    for path in paths:
        staged.append(stage_file(path, zone, source, reader, folder, staged))
    return staged


def stage_file(
    path: Path, zone: LandingZone, source: str, reader: Reader, folder: Path, beside: Sequence[StagedFile] = ()
) -> StagedFile:
    """Copy every line of a file, numbered from 1, into a Parquet file in `folder`.

    A header line (`reader.header`) is kept beside each line and counts for the numbering, not as a line.
    Bytes that are no text in `reader.encoding` are kept as `\\xNN`.

    Raises InputError if the file cannot be read or unpacked, landed before, or has a line of more than 64 MiB.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as raw:
            while block := raw.read(1 << 20):
                digest.update(block)
        sha256 = digest.hexdigest()
        name = zone.file_name(source, path, sha256, beside)
        lines_file = folder / f"{sha256}.parquet"
        lines_file.parent.mkdir(parents=True, exist_ok=True)
        lines = 0
        with pq.ParquetWriter(lines_file, LINES, compression="zstd") as writer:
            for batch in _batches(path, name, reader):
                writer.write_batch(batch)
                lines += batch.num_rows
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path}: cannot be read as {reader.format}: {error}; nothing of it was landed. "
            f"Check that it is whole, and that its ending tells its compression (.gz, .zst or none)"
        ) from None
    return StagedFile(path, name, sha256, lines, lines_file)


def _batches(path: Path, name: str, reader: Reader) -> Iterator[pa.RecordBatch]:
    header: str | None = None
    numbers: list[int] = []
    texts: list[str] = []
    letters = 0

    def batch() -> pa.RecordBatch:
        count = len(numbers)
        return pa.record_batch([[name] * count, numbers, texts, [header] * count], schema=LINES)

    for number, text in enumerate(_parquet_rows(path) if reader.format == "parquet" else _lines(path, reader), 1):
        if reader.header and number == 1:
            header = text
            if len(header) > LONGEST_HEADER:
                raise InputError(
                    f"{path}: its first line has {len(header):,} letters; expected a header line, which names the "
                    f"columns. Has the file none? Then leave `header` out of the TOML; nothing of it was landed"
                )
            continue
        numbers.append(number)
        texts.append(text)
        letters += len(text) + len(header or "")
        if len(numbers) == LINES_PER_BATCH or letters >= LETTERS_PER_BATCH:
            yield batch()
            numbers, texts, letters = [], [], 0
    yield batch()


def _lines(path: Path, reader: Reader) -> Iterator[str]:
    compression = COMPRESSIONS.get(path.suffix)
    with pa.input_stream(str(path), compression=compression, buffer_size=1 << 20) as stream:
        for number, line in enumerate(_byte_lines(path, stream), 1):
            text = line.removesuffix(b"\r").decode(reader.encoding, errors="backslashreplace")
            yield text.removeprefix("\ufeff") if number == 1 else text


def _byte_lines(path: Path, stream: pa.NativeFile) -> Iterator[bytes]:
    parts: list[bytes] = []  # of a line that has not ended yet
    length = number = 0
    while block := stream.read(1 << 20):
        end, *others = block.split(b"\n")
        parts.append(end)
        length += len(end)
        if length > LONGEST_LINE:
            raise InputError(
                f"{path}: line {number + 1} is longer than {LONGEST_LINE >> 20} MiB; expected one event a line. "
                f"Is it one JSON list, or do its lines end by another sign than a newline? Nothing of it was landed"
            )
        for other in others:
            yield b"".join(parts)
            parts, length, number = [other], len(other), number + 1
    if last := b"".join(parts):
        yield last


def _parquet_rows(path: Path) -> Iterator[str]:
    for batch in pq.ParquetFile(path).iter_batches(ROWS_PER_READ):
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError):
            rows = [{name: _value(batch[name][row]) for name in batch.schema.names} for row in range(batch.num_rows)]
        for row in rows:
            try:
                yield json.dumps(row, default=str, ensure_ascii=False, allow_nan=False)
            except ValueError:
                yield json.dumps(_finite(row), default=str, ensure_ascii=False)


def _value(scalar: pa.Scalar) -> object:
    """Return a value as Python has it, else what is stored: a time beyond the calendar as a number, bytes as \\xNN."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(part) for name, part in scalar.items()}
        if isinstance(scalar, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
            return [_value(part) for part in scalar.values]
        if isinstance(scalar, pa.BinaryScalar):
            return scalar.as_buffer().to_pybytes().decode(errors="backslashreplace")
        return getattr(scalar, "value", None)


def _finite(value: object) -> object:
    """Return a value in which NaN is null, as data frames write what is missing, and infinity is text."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
