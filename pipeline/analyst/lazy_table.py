"""A table of which DuckDB knows the columns, and whose files are found when a query first scans it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds


class LazyTable(ds.Dataset):  # type: ignore[misc]  # PyArrow has no types
    """A dataset that opens at its first scan. DuckDB asks a dataset for its schema and for scanners, no more."""

    def __init__(self, schema: pa.Schema, open_table: Callable[[], ds.Dataset]) -> None:
        self._schema, self._open_table = schema, open_table

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    @cached_property
    def _opened(self) -> ds.Dataset:
        opened = self._open_table()
        if not opened.schema.equals(self._schema):  # DuckDB would read columns by the types that it was given
            raise TypeError(f"found the columns {opened.schema}, expected {self._schema}")
        return opened

    def scanner(self, **options: Any) -> ds.Scanner:
        """Scan columns and rows as DuckDB asks for them."""
        return self._opened.scanner(**options)
