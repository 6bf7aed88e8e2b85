"""The landing zone: every line that came in, by source and arrival day.

landing/<source>/source.toml             the TOML that the lines landed with, or the one that replaced it
landing/<source>/replaced/<run>.toml     a new TOML that only this run reads, until the run is published
landing/<source>/<arrival day>/*.parquet lines: file, line, text, header
landing/<source>/<arrival day>/*.in_place one per file that landed where it lies, see `pipeline.landing.in_place`
landing/<source>/<arrival day>/_LANDED   JSON: lines and sha256; closes the day
landing/<source>/items/*.parquet         lines of catalogues, in the order of their names, which end in the first
                                         arrival day that they apply to: 000001-<sha256>-from-2026-01-31.parquet
landing/<source>/replaced/<run>.items    the first day to which all catalogues apply for this run, until it is published
landing/<source>/removed_before          days before this one have lost their lines by age
landing/<source>/files/<sha256>.json     one per landed file, so that the same bytes are refused
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.errors import InputError, SourceError
from pipeline.files import write_whole
from pipeline.landing.archives import InputFile
from pipeline.landing.in_place import SUFFIX, InPlaceFile, read_entry, require_there
from pipeline.sources.schema import Reader, Source, load_source
from throughline.stores import content_of, move, remove_folder

SOURCE_FILE = "source.toml"
SHARED_STAGING = ".staging"
APPLIES_FROM = r"-from-(\d{4}-\d{2}-\d{2})[.]parquet$"  # of a catalogue file; without it, it applies to all days


@dataclass(frozen=True)
class LandedDay:
    """A closed arrival day of one source. in_place: how many of its lines lie where a collector wrote them."""

    source: str
    day: date
    lines: int
    sha256: str
    in_place: int = 0


@dataclass(frozen=True)
class LandedFile:
    """A file that has landed: the name its lines have, and how many they are."""

    name: str
    lines: int


class LandingZone:
    """Finds the files of the landing zone and closes its days. The job `land` writes the lines.

    run_id: the run that reads the zone; it reads the TOMLs and catalogues that were replaced for it.
    """

    def __init__(self, root: Path, run_id: str | None = None) -> None:
        self.root = root
        self.run_id = run_id

    def sources(self) -> dict[str, Source]:
        """Return the landed sources by name, each as the TOML that this run reads describes it.

        Raises SourceError if a TOML is invalid: it may have landed with a version that allowed more expressions.
        """
        try:
            return {folder.name: load_source(self._toml(folder)) for folder in self._source_folders()}
        except SourceError as error:
            raise SourceError(
                f"{error}\n  this TOML was kept with the landed lines: correct a copy of it, and run "
                f"`throughline rejects replay --source COPY.toml`, or land the next log with it"
            ) from None

    def source_files(self) -> list[Path]:
        """Return the TOML of each source that this run reads, in order of the sources' names."""
        return [self._toml(folder) for folder in self._source_folders()]

    def toml_digests(self) -> dict[str, str]:
        """Return the SHA-256 of the TOML of each source that this run reads."""
        return {one.name: hashlib.sha256(self._toml(one).read_bytes()).hexdigest() for one in self._source_folders()}

    def replace_source(self, toml: Path, run_id: str) -> None:
        """Keep a new TOML of a landed source, which only this run reads until it is published.

        Raises SourceError as `require_replaceable` does.
        """
        source = load_source(toml)
        self.require_replaceable(source, toml)
        write_whole(self.replaced_file(source.name, run_id), toml.read_text(encoding="utf-8"))

    def take_over_replaced(self) -> None:
        """Make what was replaced for this run that of its source. The run must hold the lease."""
        for folder in self._source_folders():
            self._apply_items_earlier(folder.name)
            toml = self._toml(folder)
            if toml.name != SOURCE_FILE:
                move(toml, folder / SOURCE_FILE)

    def replaced_file(self, source: str, run_id: str) -> Path:
        return self.root / source / "replaced" / f"{run_id}.toml"

    def replaced_files(self, source: str) -> list[Path]:
        """Return what was replaced for runs that are not published: for a running one, or left by a killed one."""
        return sorted((self.root / source / "replaced").glob("*.*"))

    def require_replaceable(self, source: Source, toml: Path) -> None:
        """Raise SourceError if the source has not landed, or the TOML would split the landed files differently."""
        file = self.root / source.name / SOURCE_FILE
        if not file.is_file():
            landed = ", ".join(folder.name for folder in self._source_folders()) or "none"
            raise SourceError(
                f"{toml}: no source {source.name!r} has landed: landed are {landed}; check the key 'name'"
            )
        # Only its reader is checked: an earlier version may have kept an expression that is not allowed now.
        stored = Reader.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))["reader"])
        found, wanted = (_splitting_keys(reader) for reader in (stored, source.reader))
        for key, value in found.items():
            if wanted[key] != value:
                raise SourceError(
                    f"{toml}: key 'reader.{key}' = {wanted[key]!r}, but the files of {source.name} were split into "
                    f"lines by {value!r}: a replay cannot split them again; land the files in a new THROUGHLINE_HOME"
                )

    def days(self, source: str) -> dict[date, LandedDay]:
        """Return the closed days of a source, oldest first."""
        markers = sorted((self.root / source).glob("*/_LANDED"))
        closed = [(date.fromisoformat(marker.parent.name), json.loads(marker.read_text())) for marker in markers]
        return {day: LandedDay(source, day, **content) for day, content in closed}

    def removed_before(self, source: str) -> date:
        """Return the first day whose lines have not been removed by age."""
        file = self.root / source / "removed_before"
        return date.fromisoformat(file.read_text()) if file.is_file() else date.min

    def remove_before(self, source: str, first: date) -> list[LandedDay]:
        """Delete the landed lines of the days before `first`, whose events stay; return these days as they were."""
        write_whole(self.root / source / "removed_before", max(first, self.removed_before(source)).isoformat())
        removed = [day for day in self.days(source).values() if day.day < first]
        for day in removed:
            remove_folder(self.day_folder(source, day.day))
        return removed

    def lines_through(self, last: date) -> int:
        """Return the number of lines that have landed on days up to `last`, of all sources."""
        return sum(day.lines for source in self.sources() for day in self.days(source).values() if day.day <= last)

    def day_folder(self, source: str, day: date) -> Path:
        return self.root / source / day.isoformat()

    def day_files(self, source: str, day: date) -> list[Path]:
        """Return the files of lines of a day, and the entries of those that landed in place."""
        folder = self.day_folder(source, day)
        return sorted([*folder.glob("*.parquet"), *folder.glob(f"*{SUFFIX}")])

    def files_in_place(self, source: str, day: date) -> list[InPlaceFile]:
        """Return the files that landed in place on a day.

        Raises InputError if one is gone or has another size.
        """
        files = [read_entry(entry) for entry in self.day_files(source, day) if entry.suffix == SUFFIX]
        for file in files:
            require_there(file)
        return files

    def shared_staging(self, source: str) -> Path:
        """Return where lines that have not landed yet are kept for a Spark that does not see the disk of `land`."""
        return self.root / SHARED_STAGING / source

    def items_folder(self, source: str) -> Path:
        return self.root / source / "items"

    def catalogue_files(self, source: str) -> list[Path]:
        """Return the landed catalogue files of a source, in the order of landing."""
        return sorted(self.items_folder(source).glob("*.parquet"))

    def items_replay_file(self, source: str, run_id: str) -> Path:
        return self.root / source / "replaced" / f"{run_id}.items"

    def replay_items(self, source: str, first: date | None, run_id: str) -> None:
        """Let all landed catalogues apply from this day on (None: to all days), for this run until it is published."""
        write_whole(self.items_replay_file(source, run_id), (first or date.min).isoformat())

    def items_replayed_from(self, source: str) -> date | None:
        """Return the first day to which all catalogues apply for this run; date.min: all days; None: no replay."""
        file = self.items_replay_file(source, self.run_id) if self.run_id else None
        return date.fromisoformat(file.read_text()) if file and file.is_file() else None

    def _apply_items_earlier(self, source: str) -> None:
        first = self.items_replayed_from(source)
        if first is None:
            return
        for file in self.catalogue_files(source):
            found = re.search(APPLIES_FROM, file.name)
            if found and date.fromisoformat(found[1]) > first:
                stem = file.name[: found.start()]
                move(file, file.with_name(catalogue_name(stem, None if first == date.min else first)))
        self.items_replay_file(source, self.run_id or "").unlink()

    def close_day(self, source: str, day: date) -> None:
        """Write `_LANDED` for the files that the day's folder holds.

        Several machines may close a day at once: each looks again after it has written, and writes again if a file came
        in between, so the marker that stays counts the files of all.
        """
        counted: list[Path] | None = None
        while counted != (files := self.day_files(source, day)):
            self._write_marker(source, day, files)
            counted = files

    def _write_marker(self, source: str, day: date, files: Sequence[Path]) -> None:
        in_place = sum(read_entry(file).lines_left for file in files if file.suffix == SUFFIX)
        lines = sum(pq.read_metadata(content_of(file)).num_rows for file in files if file.suffix != SUFFIX)
        digest = hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()
        content = {"lines": lines + in_place, "sha256": digest, **({"in_place": in_place} if in_place else {})}
        write_whole(self.day_folder(source, day) / "_LANDED", json.dumps(content))

    def landed_files(self, source: str) -> dict[str, LandedFile]:
        """Return the files of a source that have landed, by the SHA-256 of their bytes."""
        entries = (self.root / source / "files").glob("*.json")
        return {entry.stem: LandedFile(**json.loads(entry.read_text())) for entry in entries}

    def remember(self, source: str, sha256: str, file: LandedFile) -> None:
        """Record that a file has landed: the last act of landing it."""
        entry = {"name": file.name, "lines": file.lines}
        write_whole(self.root / source / "files" / f"{sha256}.json", json.dumps(entry))

    def _source_folders(self) -> list[Path]:
        return [file.parent for file in sorted(self.root.glob(f"*/{SOURCE_FILE}"))]

    def _toml(self, folder: Path) -> Path:
        """Return the TOML of a source folder that this run reads."""
        replaced = self.replaced_file(folder.name, self.run_id) if self.run_id else None
        return replaced if replaced and replaced.is_file() else folder / SOURCE_FILE


def catalogue_name(stem: str, first: date | None) -> str:
    """Return the name of a landed catalogue file that applies to arrival days from `first` on; None: to all."""
    return f"{stem}-from-{first}.parquet" if first else f"{stem}.parquet"


def name_of(file: InputFile, sha256: str, landed: Mapping[str, LandedFile]) -> str:
    """Return the name that the lines of a file get: its own, or one with a digest if other bytes have that name.

    landed: the files that have landed or land together with it, by SHA-256.

    Raises InputError if the same bytes are among them.
    """
    if sha256 in landed:
        raise InputError(
            f"{file}: the same bytes landed already, as {landed[sha256].name} ({landed[sha256].lines} lines): "
            f"nothing was done; to run its days again, use `throughline run`; to read its lines by a changed TOML, "
            f"`throughline rejects replay --source TOML --from DAY`; if landed lines were lost, use --again"
        )
    is_taken = file.name in {one.name for one in landed.values()}
    return f"{file.name}~{sha256[:8]}" if is_taken else file.name


def _splitting_keys(reader: Reader) -> dict[str, object]:
    """Return the keys of a reader that decide how a file is split into lines when it lands."""
    kind = reader.format if reader.format in ("parquet", "avro", "w3c") else "lines of text"
    keys: dict[str, object] = {"format": kind, "header": reader.header, "encoding": reader.encoding}
    keys["multiline"] = reader.multiline
    if reader.header or reader.multiline:
        keys["comment"] = reader.comment
    if reader.multiline:
        keys |= {"escape": reader.escape, "separator": reader.delimiter}
    return keys
