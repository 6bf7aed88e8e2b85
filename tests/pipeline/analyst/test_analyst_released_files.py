"""DuckDB reads the data files of a release: the same rows as PyIceberg reads, also of files with an older schema."""

import io
import os
import threading
from datetime import date
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table import DataScan
from pyiceberg.types import DoubleType

from pipeline.analyst.query import answer, query
from pipeline.analyst.release import newest_release, open_table, read_table
from pipeline.analyst.released_files import FIELD_ID, DataFile, Reader, ReleasedTable
from pipeline.errors import InputError

SECOND = date(2026, 2, 1)


def test_a_table_has_the_rows_that_pyiceberg_reads(night: Any) -> None:
    release = newest_release(night.catalog, None)
    for name in release.tables:
        expected = read_table(night.catalog, release, name)
        assert expected.num_rows > 0
        found = query(f"SELECT * FROM {name}", night.catalog)
        assert found.select(expected.column_names).to_pylist() == expected.to_pylist()


def test_an_added_column_is_null_in_older_files(own_night: Any) -> None:
    items = own_night.catalog.load_table(("interest", "items"))
    with items.update_schema() as update:
        update.add_column("price", DoubleType())
    items.append(items.scan().to_arrow().slice(0, 1).set_column(len(items.schema().fields) - 1, "price", [[2.5]]))
    own_night.publish(SECOND)
    found = query("SELECT item_id, price FROM items ORDER BY price NULLS LAST", own_night.catalog)
    assert found.to_pylist() == [{"item_id": "1", "price": 2.5}, {"item_id": "1", "price": None}]


def test_a_renamed_column_keeps_its_values(own_night: Any) -> None:
    items = own_night.catalog.load_table(("interest", "items"))
    with items.update_schema() as update:
        update.rename_column("title", "name")
    items.append(items.scan().to_arrow())
    own_night.publish(SECOND)
    assert query("SELECT name FROM items", own_night.catalog).to_pydict() == {"name": ["Blue Train"] * 2}


def test_a_table_without_rows_is_empty(own_night: Any) -> None:
    own_night.catalog.load_table(("interest", "items")).delete()
    own_night.publish(SECOND)
    assert query("SELECT item_id FROM items", own_night.catalog).to_pydict() == {"item_id": []}


def test_a_table_with_delete_files_is_loaded_as_pyiceberg_reads_it(night: Any, monkeypatch: Any) -> None:
    """PyIceberg writes no delete files, so the plan of this test names one, and the scan has no row left."""
    table = open_table(night.catalog, newest_release(night.catalog, None), "items")
    assert [pq.read_table(file.open()).num_rows for file in table.find_files()] == [1]
    task = SimpleNamespace(file=SimpleNamespace(file_format="PARQUET"), delete_files=["one"])
    monkeypatch.setattr(DataScan, "plan_files", lambda self: [task])
    monkeypatch.setattr(DataScan, "to_arrow", lambda self: self.projection().as_arrow().empty_table())
    assert [pq.read_table(file.open()).num_rows for file in table.find_files()] == [0]


def test_a_lost_data_file_is_named_in_one_line(own_night: Any) -> None:
    [file] = own_night.folder.rglob("items/data/*.parquet")
    file.unlink()
    with pytest.raises(InputError, match=f"^FileNotFoundError.*{file.name}.*$"):
        query("SELECT item_id FROM items", own_night.catalog)


def test_threads_that_share_a_file_do_not_move_each_other() -> None:
    """DuckDB seeks, then reads; between the two another of its threads may seek."""
    reader = Reader(pa.BufferReader(b"0123456789"))
    reader.seek(2)
    other = threading.Thread(target=lambda: (reader.seek(7), reader.read(1)))
    other.start()
    other.join()
    assert (reader.read(3), reader.read(2), reader.tell()) == (b"234", b"56", 7)
    assert (reader.seek(-1, os.SEEK_END), reader.read()) == (9, b"9")


def test_only_the_needed_columns_and_rows_are_read_from_the_files() -> None:
    """Two row groups of 1 MiB a column. A query of a narrow column reads little; one of a user reads one group."""
    rows, size = 2_000, 1_000
    ids = [f"{number:05}" for number in range(rows)]
    wide = [f"{number:05}" * (size // 5) for number in range(rows)]
    schema = pa.schema(
        [pa.field(name, pa.string(), metadata={FIELD_ID: str(id)}) for id, name in enumerate(("user_id", "wide"), 1)]
    )
    content = io.BytesIO()
    pq.write_table(pa.table([ids, wide], schema), content, 1_000, compression="none", use_dictionary=False)
    read = 0

    class Recorded(io.BytesIO):
        def size(self) -> int:
            return len(self.getvalue())

        def read_at(self, size: int, offset: int) -> bytes:
            nonlocal read
            read += size
            return self.getvalue()[offset : offset + size]

    table = ReleasedTable(schema, lambda: [DataFile(len(content.getvalue()), lambda: Recorded(content.getvalue()))])

    def bytes_of(sql: str) -> int:
        nonlocal read
        read = 0
        assert answer(sql, ["people"], lambda name: table).num_rows == 1
        return read

    assert bytes_of("SELECT max(user_id) FROM people") < 100_000
    assert 900_000 < bytes_of("SELECT wide FROM people WHERE user_id = '01500'") < 1_200_000
    assert bytes_of("SELECT max(wide) FROM people WHERE user_id > ''") > 1_900_000
