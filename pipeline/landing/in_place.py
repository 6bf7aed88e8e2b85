"""Files that land where they lie: their lines are read from there by each step that needs them, and never copied.

landing/<source>/<arrival day>/<sha256>.in_place    JSON: InPlaceFile
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, UsageError
from pipeline.files import write_whole
from pipeline.landing.archives import InputFile, Member
from pipeline.landing.formats import read_batches
from pipeline.sources.schema import Reader
from throughline.stores import is_remote, path_of

SUFFIX = ".in_place"
DAY_IN_NAME = re.compile(r"(?:[A-Za-z_]+=)?(\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True)
class InPlaceFile:
    """A file that landed in place. lines: as they were when it landed.

    erased: numbers of lines that are left out, since they were of erased people. without_text: numbers of lines of
    which only the text is left out. The file itself is not ours to change.
    """

    path: str
    name: str
    sha256: str
    bytes: int
    lines: int
    landed_at: str
    erased: tuple[int, ...] = ()
    without_text: tuple[int, ...] = ()

    @property
    def lines_left(self) -> int:
        return self.lines - len(self.erased)

    def write(self, entry: Path) -> None:
        write_whole(entry, json.dumps(asdict(self)))


def read_entry(entry: Path) -> InPlaceFile:
    """Return the file that an entry of the landing zone names."""
    content = json.loads(entry.read_text(encoding="utf-8"))
    return InPlaceFile(**{**content, **{key: tuple(content[key]) for key in ("erased", "without_text")}})


def days_in_place(files: list[InputFile], arrival_day: date | None) -> list[date]:
    """Return the arrival day of each file: `arrival_day`, else the day that its path names, as dt=2026-01-31 does.

    Raises UsageError if a path names none, InputError for a member of an archive.
    """
    days = []
    for file in files:
        if isinstance(file, Member):
            raise InputError(f"{file.archive}: an archive cannot land in place: unpack it, or leave out --in-place")
        named = [found[1] for part in _whole(file).parts if (found := DAY_IN_NAME.fullmatch(part))]
        try:
            days.append(arrival_day or date.fromisoformat(named[-1]))
        except (IndexError, ValueError):
            raise UsageError(
                f"{file}: no folder of its path names a day, as dt=2026-01-31 does: expected one, or --arrival-day D"
            ) from None
    return days


def measure(file: Path, name: str, sha256: str, reader: Reader) -> InPlaceFile:
    """Return the entry of a file; its lines are read to count them. Raises as `read_stream` does."""
    lines = sum(batch.num_rows for batch in read_batches(file, name, reader))
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    return InPlaceFile(str(_whole(file)), name, sha256, file.stat().st_size, lines, now)


def require_there(file: InPlaceFile) -> None:
    """Raise InputError if a file is gone or has another size."""
    path = path_of(file.path)
    found = f"{path.stat().st_size:,} bytes" if path.is_file() else "no such file"
    if found != f"{file.bytes:,} bytes":
        raise InputError(_changed(file, found, f"{file.bytes:,} bytes"))


def lines_in_place(file: InPlaceFile, reader: Reader) -> Iterator[pa.RecordBatch]:
    """Yield the lines of a file as batches of schema LINES, without those that are left out.

    Raises InputError if its bytes are not those that landed.
    """
    path = path_of(file.path)
    with path.open("rb") as raw:
        found = hashlib.file_digest(raw, "sha256").hexdigest()
    if found != file.sha256:
        raise InputError(_changed(file, f"sha256 {found}", file.sha256))
    erased, hidden = pa.array(file.erased, pa.int64()), pa.array(file.without_text, pa.int64())
    for batch in read_batches(path, file.name, reader):
        lines = batch.filter(pc.invert(pc.is_in(batch["line"], erased)))
        text = pc.if_else(pc.is_in(lines["line"], hidden), pa.scalar(None, pa.string()), lines["text"])
        yield lines.set_column(lines.schema.get_field_index("text"), "text", text)


def _whole(file: Path) -> Path:
    return file.absolute() if not is_remote(file) else file


def _changed(file: InPlaceFile, found: str, expected: str) -> str:
    return (
        f"{file.path}: it landed in place and is not what it was: found {found}, expected {expected}; restore it, or "
        f"`throughline landed drop` its day and land the day again. Of logs that are deleted by age, "
        f"keep_landing_days forgets the lines first"
    )
