"""The journal of a running erasure, from which the next try goes on after a crash; deleted at the end.

    erasure/journal.json      pseudonyms, counts and times
    erasure/lines.parquet     the landed lines to erase: source, arrival day, file, line
    erasure/sessions.parquet  the ids of the sessions of these people, for the search at the end
    erasure/items.parquet     the items of their events: space, item_id
    erasure/changed.jsonl     each file outside of the tables that the erasure changes, noted before: kind, path, bytes
    erasure/written           exists when the branch holds all tables, so that only its publication is left

The folder lies in the landing zone where the setting `landing` names one, so that nights on other machines wait for the
end; but changed.jsonl, which grows line by line, stays in the home, so a try on another machine counts its own changes.
It holds no id of the source. The file journal.json is written last, so it says that the others are whole.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.erasure import FOLDER, JOURNAL, NOTES, erasure_folder
from pipeline.erasure.plan import DayCount, People
from pipeline.erasure.purge import TableState
from pipeline.errors import InputError
from pipeline.files import replaced_whole, write_private
from pipeline.settings import Settings
from throughline.stores import content_of, make_folder


@dataclass(frozen=True)
class Journal:
    """What an erasure found out before it changed anything.

    name: of the receipt. recompute_from: the first day on whose lines rows of others may depend. first_day: the day of
    the first erased line. rows: rows to delete by table. before: each table as it was.
    """

    name: str
    digest: str
    requested: int
    started_at: str
    started_by: str
    run_id: str
    people: People
    recompute_from: date | None
    first_day: date | None
    rows: Mapping[str, int]
    lines: int
    day_counts: list[DayCount]
    before: Mapping[str, TableState]
    dropped_as: str | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")


AS_JSON = TypeAdapter(Journal)


class JournalFolder:
    """The folder of the journal."""

    def __init__(self, settings: Settings) -> None:
        self._folder = erasure_folder(settings)
        self._file = self._folder / JOURNAL
        self.lines_file = self._folder / "lines.parquet"
        self.sessions_file = self._folder / "sessions.parquet"
        self.items_file = self._folder / "items.parquet"
        self._changed = settings.home / FOLDER / NOTES
        self._written = self._folder / "written"

    def begin(self, journal: Journal, places: pa.Table, sessions: pa.Table, items: pa.Table) -> None:
        """Write the journal; from here on the erasure goes on to its end."""
        for left in (self._written, self._changed):
            left.unlink(missing_ok=True)
        for file, rows in ((self.lines_file, places), (self.sessions_file, sessions), (self.items_file, items)):
            with replaced_whole(file) as made:
                pq.write_table(rows, made)
                made.chmod(0o600)
        make_folder(self._changed.parent)
        write_private(self._file, AS_JSON.dump_json(journal).decode())

    def read(self) -> Journal | None:
        """Return the journal of an erasure that has not ended, if there is one.

        Raises InputError if another version, whose journal has other fields, began it.
        """
        if not self._file.is_file():
            return None
        try:
            return AS_JSON.validate_json(self._file.read_bytes())
        except ValidationError:
            raise InputError(
                f"{self._file} is of an erasure that another version of Throughline began: end it by that version, "
                f"with --resume"
            ) from None

    def end(self) -> None:
        """Delete the journal; journal.json last, so that a killed process deletes the others too."""
        parts = (self.lines_file, self.sessions_file, self.items_file, self._changed, self._written)
        for file in (*parts, self._file):
            file.unlink(missing_ok=True)

    def rows_of(self, file: Path) -> pa.Table:
        """Return the rows of one of its three tables."""
        return pq.read_table(content_of(file))

    def note(self, kind: str, file: Path, size: int = 0) -> None:
        """Note that a file is about to be changed or deleted. A receipt counts what was noted, so that a try that is
        killed after the change and repeated counts it once.

        kind: what it is counted as. size: bytes.
        """
        with self._changed.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps([kind, str(file), size]) + "\n")

    def noted(self, kind: str) -> dict[str, int]:
        """Return the bytes of each noted file of a kind by its path, as first noted."""
        found: dict[str, int] = {}
        for line in self._changed.read_text(encoding="utf-8").splitlines() if self._changed.is_file() else []:
            of, path, size = json.loads(line)
            if of == kind:
                found.setdefault(path, size)
        return found

    @property
    def is_written(self) -> bool:
        """Whether the branch holds all tables as they are to be."""
        return self._written.is_file()

    def set_written(self, retrained: Sequence[str]) -> None:
        """Keep that it does: a next try publishes it and writes nothing again.

        retrained: the sources whose item clusters were trained again.
        """
        write_private(self._written, json.dumps(list(retrained)))

    def retrained(self) -> list[str]:
        """Return the sources whose item clusters were trained again."""
        names: list[str] = json.loads(self._written.read_text(encoding="utf-8"))
        return names
