"""The files of an Iceberg table, and how its metadata are rewritten for another place.

Metadata name all files by absolute locations: the table's JSON names manifest lists, these name manifests, and these
name data files; the last two are Avro. Iceberg's procedure `rewrite_table_path` rewrites them where the table is. A
backup is restored where that place may be gone, so this is done here, file by file, and changes nothing but locations.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

from pipeline.errors import InputError
from pipeline.files import replaced_whole
from pipeline.local.catalog import SCHEMES, local_path

DELETED = 2  # status of an entry of a manifest whose file is gone
DATA = 0  # content of a manifest
TIMES = ("timestamp-ms", "last-updated-ms")  # of JSON, milliseconds since 1970
OF_FILE = {"avro.schema", "avro.codec"}  # keys of the header of an Avro file that its writer makes
Record = dict[str, Any]


@dataclass(frozen=True)
class Avro:
    """The records of an Avro file and its header."""

    records: list[Record]
    schema: Any
    codec: str
    header: dict[str, str]

    @classmethod
    def read(cls, file: Path) -> "Avro":
        reader = fastavro.reader(BytesIO(file.read_bytes()))
        header = {str(key): str(value) for key, value in reader.metadata.items()}
        own = {key: value for key, value in header.items() if key not in OF_FILE}
        records = [record for record in reader if isinstance(record, dict)]
        return cls(records, json.loads(header["avro.schema"]), reader.codec, own)

    def write(self, file: Path) -> int:
        """Write the file; return its bytes."""
        with replaced_whole(file) as temporary, temporary.open("wb") as out:
            fastavro.writer(out, self.schema, self.records, codec=self.codec, metadata=dict(self.header))
        return file.stat().st_size


def read_metadata(file: Path) -> Record:
    """Return the content of a table's JSON."""
    content = file.read_bytes()
    found: Record = json.loads(gzip.decompress(content) if ".gz." in file.name else content)
    return found


def files_of(metadata_file: Path) -> dict[Path, int | None]:
    """Return all files of a table, of all its snapshots, and the bytes that each should have where that is known.

    Raises InputError if a file of metadata is missing, or if the table has delete files, which hold locations too.
    """
    try:
        return dict(_files(metadata_file))
    except FileNotFoundError as missing:
        raise InputError(f"{missing.filename} is missing: restore an older backup") from None


def _files(metadata_file: Path) -> Iterator[tuple[Path, int | None]]:
    metadata = read_metadata(metadata_file)
    yield metadata_file, None
    for kind in ("statistics", "partition-statistics"):
        for one in metadata.get(kind, ()):
            yield local_path(one["statistics-path"]), one.get("file-size-in-bytes")
    seen: set[str] = set()
    for snapshot in metadata.get("snapshots", ()):
        yield local_path(snapshot["manifest-list"]), None
        for manifest in Avro.read(local_path(snapshot["manifest-list"])).records:
            if manifest["manifest_path"] in seen:
                continue
            seen.add(manifest["manifest_path"])
            yield local_path(manifest["manifest_path"]), manifest["manifest_length"]
            if manifest.get("content", DATA) != DATA:
                raise InputError(
                    f"{metadata['location']} has delete files, which hold the place of the table: merge them by "
                    f"Spark's procedure rewrite_data_files and expire the older snapshots, then run this again"
                )
            for entry in Avro.read(local_path(manifest["manifest_path"])).records:
                if entry["status"] != DELETED:
                    yield local_path(entry["data_file"]["file_path"]), entry["data_file"]["file_size_in_bytes"]


@dataclass
class Relocation:
    """Rewrites the metadata of tables that were copied from one warehouse to another.

    old, new: the folders of both. now: milliseconds since 1970; later times become this one, since Iceberg accepts no
    commit that is earlier than the last one, which a clock that was ahead may have made.
    """

    old: Path
    new: Path
    now: int
    _lengths: dict[str, int] = field(default_factory=dict)

    def rewrite(self, metadata_file: Path) -> None:
        """Rewrite all metadata of a copied table, in place. metadata_file: its JSON in the new warehouse.

        Raises InputError if a location is not in the old warehouse.
        """
        metadata = self._moved(read_metadata(metadata_file))
        metadata["metadata-log"] = []  # former files of JSON, which are not copied
        for snapshot in metadata.get("snapshots", ()):
            self._rewrite_list(local_path(snapshot["manifest-list"]))
        content = json.dumps(metadata).encode()
        with replaced_whole(metadata_file) as temporary:
            temporary.write_bytes(gzip.compress(content) if ".gz." in metadata_file.name else content)

    def location(self, old: str) -> str:
        """Return the location of a file in the new warehouse."""
        for scheme in SCHEMES:
            if old.startswith(f"{scheme}{self.old}/"):
                return f"{scheme}{self.new}{old.removeprefix(f'{scheme}{self.old}')}"
        raise InputError(f"{old} is not in {self.old}: only tables of one local warehouse can be restored")

    def _moved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: min(one, self.now) if key in TIMES and isinstance(one, int) else self._moved(one)
                for key, one in value.items()
            }
        if isinstance(value, list):
            return [self._moved(one) for one in value]
        return self.location(value) if isinstance(value, str) and value.startswith(SCHEMES) else value

    def _rewrite_list(self, file: Path) -> None:
        found = Avro.read(file)
        for manifest in found.records:
            old = manifest["manifest_path"]
            manifest["manifest_path"] = self.location(old)
            if old not in self._lengths:
                self._lengths[old] = self._rewrite_manifest(local_path(manifest["manifest_path"]))
            manifest["manifest_length"] = self._lengths[old]
        found.write(file)

    def _rewrite_manifest(self, file: Path) -> int:
        found = Avro.read(file)
        for entry in found.records:
            entry["data_file"]["file_path"] = self.location(entry["data_file"]["file_path"])
        return found.write(file)
