"""The folder in which a run hands its profiles to the pipeline: `exchange/<run-id>/` of the home.

A file is there under its name only when it is whole, and the manifest only when every file is. With a store, such as
s3://bucket/exchange, the files are copied to `<store>/<run-id>/` when all are whole, the manifest last.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow.fs import (
    AwsStandardS3RetryStrategy,
    FileSystem,
    FileType,
    LocalFileSystem,
    S3FileSystem,
    copy_files,
)

from model.data.profiles import PROFILES
from model.errors import UsageError

MANIFEST = "manifest.json"
PROFILES_FOLDER = "profiles"
S3 = "s3://"
ATTEMPTS = 8  # at S3, with growing waits
RUN_ID = re.compile(r"[A-Za-z0-9_.-]+")


def require_run_id(run_id: str) -> None:
    """Raise UsageError if a run id is no plain file name."""
    if not RUN_ID.fullmatch(run_id) or set(run_id) == {"."}:
        raise UsageError(f"run id {run_id!r}: expected letters, digits, _ . - only, as it names a folder")


@dataclass(frozen=True)
class Exchange:
    """Where one run writes. Raises UsageError if the run id is no plain file name.

    store: a folder outside of the home, or s3://bucket/folder, to which the files are copied; empty: none.
    """

    home: Path
    run_id: str
    store: str = ""

    def __post_init__(self) -> None:
        require_run_id(self.run_id)

    @property
    def folder(self) -> Path:
        return self.home / "exchange" / self.run_id

    @property
    def manifest_file(self) -> Path:
        return self.folder / MANIFEST

    def profiles_file(self, day: date) -> Path:
        return self.folder / PROFILES_FOLDER / f"as_of={day}.parquet"

    def clear(self, days: Iterable[date]) -> None:
        """Remove what an earlier try of this run left of these days, its manifest first."""
        self.manifest_file.unlink(missing_ok=True)
        if self.store:
            filesystem, folder = self._opened_store()
            if filesystem.get_file_info(f"{folder}/{MANIFEST}").type == FileType.File:
                filesystem.delete_file(f"{folder}/{MANIFEST}")
        for day in days:
            self.profiles_file(day).unlink(missing_ok=True)
            _unfinished(self.profiles_file(day)).unlink(missing_ok=True)

    @property
    def shards_folder(self) -> Path:
        """Where the run keeps rows while it works, beside its folder."""
        return self.home / "exchange" / f".{self.run_id}.shards"

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

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _unfinished(self.manifest_file).write_text(json.dumps(manifest, indent=2) + "\n")
        _unfinished(self.manifest_file).replace(self.manifest_file)
        if self.store:
            self._copy_to_store()

    def _copy_to_store(self) -> None:
        """Copy the files of the run, and the manifest when all others are there."""
        filesystem, folder = self._opened_store()
        filesystem.create_dir(f"{folder}/{PROFILES_FOLDER}")
        source = LocalFileSystem()
        copied = {"source_filesystem": source, "destination_filesystem": filesystem}
        copy_files(str(self.folder / PROFILES_FOLDER), f"{folder}/{PROFILES_FOLDER}", **copied)
        copy_files(str(self.manifest_file), f"{folder}/{MANIFEST}", **copied)

    def _opened_store(self) -> tuple[FileSystem, str]:
        """Return the file system of the store and the folder of this run in it."""
        if not self.store.startswith(S3):
            return LocalFileSystem(), str(Path(self.store, self.run_id))
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        patience = AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)
        filesystem = S3FileSystem(endpoint_override=endpoint, region=region, retry_strategy=patience)
        return filesystem, f"{self.store.removeprefix(S3).rstrip('/')}/{self.run_id}"


def _unfinished(target: Path) -> Path:
    """Name a file in the making; Spark reads no name that begins with a dot."""
    return target.with_name(f".{target.name}.unfinished")
