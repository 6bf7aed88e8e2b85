"""The folder in which a run hands its profiles to the pipeline: `exchange/<run-id>/` of the home.

A file is there under its name only when it is whole, and the manifest only when every file is. With a store, such as
s3://bucket/exchange, the files are moved to `<store>/<run-id>/` when all are whole, the manifest last: an erasure on
another machine reaches the store alone. A run that several processes score has a folder for each part of the users, as
`<run-id>.part-2-of-8`.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from model.data.profiles import PROFILES
from model.errors import UsageError
from throughline.stores import copy, path_of

MANIFEST = "manifest.json"
PROFILES_FOLDER = "profiles"
RUN_ID = re.compile(r"[A-Za-z0-9_.-]+")
MOST_PARTS = 64


def require_run_id(run_id: str) -> None:
    """Raise UsageError if a run id is no plain file name."""
    if not RUN_ID.fullmatch(run_id) or set(run_id) == {"."}:
        raise UsageError(f"run id {run_id!r}: expected letters, digits, _ . - only, as it names a folder")


@dataclass(frozen=True)
class Part:
    """Part `number` of `count` of the users of a run, from 1 on."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read `2/8`. Raises UsageError if it is no such part."""
        found = re.fullmatch(r"(\d{1,2})/(\d{1,2})", text)
        part = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= part.number <= part.count <= MOST_PARTS:
            raise UsageError(f"part {text!r}: expected one such as 2/8, with at most {MOST_PARTS} parts")
        return part

    def range_of(self, things: int) -> range:
        """Return which of a number of things belong to this part; no two parts share one."""
        return range((self.number - 1) * things // self.count, self.number * things // self.count)


ALL_USERS = Part()


@dataclass(frozen=True)
class Exchange:
    """Where one run writes. Raises UsageError if the run id is no plain file name, or for another kind of store.

    store: a folder outside of the home, or s3://bucket/folder, to which the files are moved; empty: none. part: which
    of its users.
    """

    home: Path
    run_id: str
    store: str = ""
    part: Part = ALL_USERS

    def __post_init__(self) -> None:
        require_run_id(self.run_id)
        try:
            path_of(self.store)
        except ValueError as error:
            raise UsageError(str(error)) from None

    @property
    def _name(self) -> str:
        return self.run_id if self.part == ALL_USERS else f"{self.run_id}.part-{self.part.number}-of-{self.part.count}"

    @property
    def _in_store(self) -> Path | None:
        """The folder of this run in the store, if there is one."""
        return path_of(self.store) / self._name if self.store else None

    @property
    def folder(self) -> Path:
        return self.home / "exchange" / self._name

    def _others(self, exchange: Path) -> list[Path]:
        """Return the folders of tries of this run that had another number of parts."""
        parts = [
            one
            for one in exchange.glob(f"{self.run_id}.part-*-of-*")
            if not one.name.endswith(f"-of-{self.part.count}")
        ]
        return parts if self.part == ALL_USERS else [*parts, exchange / self.run_id]

    @property
    def manifest_file(self) -> Path:
        return self.folder / MANIFEST

    def profiles_file(self, day: date) -> Path:
        return self.folder / PROFILES_FOLDER / f"as_of={day}.parquet"

    def clear(self, days: Iterable[date]) -> None:
        """Remove what an earlier try of this run left of these days, its manifest first."""
        for folder in filter(None, (self.folder, self._in_store)):
            for one in (folder, *self._others(folder.parent)):
                (one / MANIFEST).unlink(missing_ok=True)
        for day in days:
            self.profiles_file(day).unlink(missing_ok=True)
            _unfinished(self.profiles_file(day)).unlink(missing_ok=True)

    @property
    def shards_folder(self) -> Path:
        """Where the run keeps rows while it works, beside its folder."""
        return self.home / "exchange" / f".{self._name}.shards"

    @contextmanager
    def open_profiles(self, days: Sequence[date]) -> Iterator[Mapping[date, pq.ParquetWriter]]:
        """Give a writer for the profiles of each day; the files are there when all of them are whole."""
        targets = {day: self.profiles_file(day) for day in days}
        (self.folder / PROFILES_FOLDER).mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            yield {
                day: stack.enter_context(pq.ParquetWriter(_unfinished(target), PROFILES, compression="zstd"))
                for day, target in targets.items()
            }
        for target in targets.values():
            _unfinished(target).replace(target)

    def write_manifest(self, manifest: Mapping[str, Any]) -> Path:
        """Write the manifest and move all to the store, if there is one; return the folder where all is then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _unfinished(self.manifest_file).write_text(json.dumps(manifest, indent=2) + "\n")
        _unfinished(self.manifest_file).replace(self.manifest_file)
        in_store = self._in_store
        if in_store is None:
            return self.folder
        for file in (*(self.folder / PROFILES_FOLDER).glob("*.parquet"), self.manifest_file):
            copy(file, in_store / file.relative_to(self.folder).as_posix())
        shutil.rmtree(self.folder)
        return in_store


def _unfinished(target: Path) -> Path:
    """Name a file in the making; Spark reads no name that begins with a dot."""
    return target.with_name(f".{target.name}.unfinished")
