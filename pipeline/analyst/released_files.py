"""The data files of a release as DuckDB reads them: a file system of these files alone, which cannot be written.

DuckDB's own reader of Parquet skips row groups, and reads only the fields of a struct that a query needs. It may read
any file that it may open, and write it too. So it gets no access to files at all, but to this file system.
"""

import io
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
    """A Parquet file. size: in bytes. open: returns what reads it, as a binary file does."""

    size: int
    open: Callable[[], Any]


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
        return self._file(path).open()

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
    written = io.BytesIO()
    pq.write_table(rows, written)
    content = written.getvalue()
    return DataFile(len(content), lambda: io.BytesIO(content))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
