"""The receipt of an erasure: what was asked, what was done and the search that proves it, without an id.

erasures/<name>.json, erasures/<name>.html
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import jinja2
import pyarrow as pa

from pipeline.copies import BACKUP, Copy, known_copies
from pipeline.erasure.search import names_one
from pipeline.files import write_whole
from pipeline.landing.in_place import read_entry
from throughline.stores import path_of

HOLDS, NONE = "holds them", "names none of them"
IN_PLACE = "log in place"
UNREAD = "not found or not readable here"


@dataclass(frozen=True)
class OfTable:
    """What was done to a table: rows deleted, data files rewritten and their bytes, snapshots and data files of any
    snapshot removed. Snapshots and files that the erasure made itself do not count.
    """

    rows: int
    files_rewritten: int
    bytes_rewritten: int
    bytes_of_table: int
    snapshots_removed: int
    files_removed: int


@dataclass(frozen=True)
class CopyElsewhere:
    """A backup or export that was written outside of the home, or a log that landed in place, and what was found:
    HOLDS, NONE or UNREAD.
    """

    what: str
    path: str
    made_at: str
    found: str


@dataclass(frozen=True)
class Receipt:
    """A receipt. searched: what was searched at the end for the people, and how many places named one: none may.

    copies: known copies outside of the home, which stay as they are.
    """

    name: str
    request_hmac_sha256: str
    ids_requested: int
    started_at: str
    ended_at: str
    started_by: str
    run_id: str
    code_version: str
    landed_lines: int
    landed_files_rewritten: int
    landed_bytes: int
    tables: Mapping[str, OfTable]
    rows_of_others_from: str | None
    clusters_retrained: list[str]
    working_files_removed: int
    files_with_mentions: Mapping[str, int]
    models_affected: list[str]
    copies: list[CopyElsewhere]
    searched: Mapping[str, int]

    @property
    def left(self) -> int:
        return sum(self.searched.values())

    @property
    def copies_left(self) -> list[CopyElsewhere]:
        """The copies that hold the people, or that could not be searched."""
        return [one for one in self.copies if one.found != NONE]


def write_receipt(folder: Path, receipt: Receipt) -> Path:
    """Write the receipt as JSON and as a page; return the page."""
    write_whole(folder / f"{receipt.name}.json", json.dumps(asdict(receipt), indent=1) + "\n")
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = folder / f"{receipt.name}.html"
    write_whole(page, templates.get_template("receipt.html.j2").render(receipt=receipt))
    return page


def copies_elsewhere(home: Path, names: Collection[bytes]) -> list[CopyElsewhere]:
    """Return the known copies outside of the home. Each backup was made before and so holds the people; an export is
    searched for them.

    names: pseudonyms and session ids.
    """
    return [CopyElsewhere(one.what, one.path, one.made_at, _found(one, names)) for one in known_copies(home)]


def logs_in_place(entries: Collection[str]) -> list[CopyElsewhere]:
    """Return the files that landed in place of which lines of these people are left out: they still hold them.

    entries: the paths of their entries in the landing zone.
    """
    files = [read_entry(path_of(entry)) for entry in sorted(entries)]
    return [CopyElsewhere(IN_PLACE, file.path, file.landed_at, HOLDS) for file in files]


def _found(copy: Copy, names: Collection[bytes]) -> str:
    path = path_of(copy.path)
    try:
        if copy.what == BACKUP:
            return HOLDS if path.is_dir() else UNREAD
        return HOLDS if names_one(path, names) else NONE
    except (OSError, pa.ArrowException):
        return UNREAD


def models_trained_since(models: Path, first: date | None) -> list[str]:
    """Return the saved models whose training data may hold an event of a day from `first` on, by their names."""
    if first is None:
        return []
    names = {one.name for one in (models / "models").glob("*.????????*") if not one.name.startswith(".")}
    return sorted(name for name in names if name.split(".")[1] >= f"{first:%Y%m%d}")
