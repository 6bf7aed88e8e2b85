"""The data files of a release as DuckDB reads them: a file system of these files alone, which cannot be written.

DuckDB's own reader of Parquet skips row groups, and reads only the fields of a struct that a query needs. It may read
any file that it may open, and write it too. So it gets no access to files at all, but to this file system.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

PROTOCOL = "released"
FIELD_ID = b"PARQUET:field_id"
NEVER_CHANGED = datetime(1970, 1, 1, tzinfo=UTC)  # Iceberg writes a data file once


@dataclass(frozen=True)
class DataFile:
    """A Parquet file. size: in bytes. open: returns an Arrow file that several threads may read at offsets."""

    size: int
    open: Callable[[], pa.NativeFile]


class Reader:
    """A file with a position for each thread: threads of DuckDB share it, and each seeks and then reads."""

    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        self._own = threading.local()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position of this thread."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell()}.get(whence)
        self._own.position = (self._file.size() if start is None else start) + offset
        return self.tell()

    def tell(self) -> int:
        return int(getattr(self._own, "position", 0))

    def read(self, size: int = -1) -> bytes:
        """Read at the position of this thread."""
        count = size if size >= 0 else self._file.size() - self.tell()
        content = bytes(self._file.read_at(count, self.tell()))
        self._own.position = self.tell() + len(content)
        return content

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class ReleasedTable:
    """The columns of a table, with Iceberg's field ids, and how its data files are found."""

    schema: pa.Schema
    find_files: Callable[[], Sequence[DataFile]]

    @cached_property
    def files(self) -> Sequence[DataFile]:
        """The data files, one at least; they are looked for once."""
        return self.find_files()


class ReleasedFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Serves `released://<table>/<number>.parquet`."""

    protocol = PROTOCOL
    cachable = False  # each connection has a release of its own

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[str, ReleasedTable] = {}
        self._is_complete = False

    def add(self, name: str, table: ReleasedTable, connection: duckdb.DuckDBPyConnection) -> str:
        """Serve a table; return the table function that reads it.

        Columns are found by field id, so those that were renamed keep their values, and those that were added later are
        null in older files. Nested fields are found by name.
        """
        self._tables[name] = table
        # The same types as DuckDB gives to the columns in Arrow.
        types = connection.from_arrow(table.schema.empty_table()).types
        columns = (
            f"{int(field.metadata[FIELD_ID])}: "
            f"{{name: {_text(field.name)}, type: {_text(str(kind))}, default_value: NULL}}"
            for field, kind in zip(table.schema, types, strict=True)
        )
        return f"read_parquet('{PROTOCOL}://{name}/*.parquet', schema = MAP {{{', '.join(columns)}}})"

    def complete(self) -> None:
        """Look for data files from now on. Before, a view can be created without them."""
        self._is_complete = True

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the files of a table."""
        name, _, pattern = self._strip_protocol(path).partition("/")
        if name not in self._tables or pattern != "*.parquet":
            return []
        count = len(self._tables[name].files) if self._is_complete else 1
        return [f"{name}/{number}.parquet" for number in range(count)]

    def exists(self, path: str, **_: Any) -> bool:
        return self._find(path) is not None

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the size of a file."""
        return {"name": path, "size": self._file(path).size, "type": "file"}

    def modified(self, path: str) -> datetime:
        return NEVER_CHANGED

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        if mode != "rb":
            raise PermissionError(f"{path}: a release is read-only")
        return Reader(self._file(path).open())

    def _file(self, path: str) -> DataFile:
        file = self._find(path)
        if file is None:
            raise FileNotFoundError(f"no file {path} in the release")
        return file

    def _find(self, path: str) -> DataFile | None:
        name, _, file = self._strip_protocol(path).partition("/")
        number = file.removesuffix(".parquet")
        if name not in self._tables or not number.isdecimal() or int(number) >= len(self._tables[name].files):
            return None
        return self._tables[name].files[int(number)]


def in_memory(rows: pa.Table) -> DataFile:
    """Return rows as a data file that no disk holds."""
    written = pa.BufferOutputStream()
    pq.write_table(rows, written)
    content = written.getvalue()
    return DataFile(content.size, lambda: pa.BufferReader(content))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
