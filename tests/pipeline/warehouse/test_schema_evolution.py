"""Existing tables follow `sql/ddl`, on real Iceberg tables of Spark in a folder, read back by Spark and PyIceberg."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyiceberg.table import StaticTable

from pipeline.analyst.query import answer, tables_of
from pipeline.analyst.release import Release
from pipeline.errors import InputError
from pipeline.transforms.rows import frame_of_rows
from pipeline.warehouse.tables import create_tables, ddl_files, declared_schema, table

OLD = """
CREATE TABLE interest.notes (
    day    DATE   NOT NULL COMMENT 'day of the note',
    marks  ARRAY<STRUCT<tag: STRING COMMENT 'interest tag'>> NOT NULL COMMENT 'marks'
) USING iceberg PARTITIONED BY (day)
"""
NEW = """
-- One row per note. The key is (day, author).
CREATE TABLE IF NOT EXISTS interest.notes (
    day    DATE   NOT NULL COMMENT 'day of the note',
    author STRING NOT NULL COMMENT 'the user''s pseudonym, "hex"',
    marks  ARRAY<STRUCT<
        place: STRUCT<x: INT COMMENT 'column'> COMMENT 'where',
        tag: STRING COMMENT 'interest tag',
        score: DOUBLE COMMENT 'from 0 to 1'
    >>            NOT NULL COMMENT 'marks'
) USING iceberg PARTITIONED BY (day)
"""
DAY = date(2026, 1, 31)


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return the function that makes a statement the only one of `sql/ddl`."""
    monkeypatch.setattr("pipeline.warehouse.tables.DDL", tmp_path)

    def write(statement: str) -> None:
        (tmp_path / "notes.sql").write_text(statement, encoding="utf-8")

    return write


@pytest.fixture
def notes(iceberg: Any, declare: Callable[[str], None]) -> Any:
    """The table as the former statement makes it, with one row; the new statement is declared."""
    declare(OLD)
    create_tables(iceberg)
    rows = frame_of_rows(iceberg, [(DAY, [("jazz",)])], iceberg.table(table("notes")).schema)
    rows.writeTo(table("notes")).append()
    declare(NEW)
    return iceberg


def test_a_table_gets_the_columns_that_it_lacks(notes: Any) -> None:
    create_tables(notes)
    found, declared = notes.table(table("notes")).schema, declared_schema(NEW)
    assert found.simpleString() == declared.simpleString()
    assert [field.metadata for field in found] == [field.metadata for field in declared]
    assert found["author"].metadata["comment"] == 'the user\'s pseudonym, "hex"'
    marks = found["marks"].dataType.elementType
    assert [field.metadata["comment"] for field in marks] == ["where", "interest tag", "from 0 to 1"]
    assert marks["place"].dataType["x"].metadata["comment"] == "column"
    assert found["author"].nullable
    [row] = notes.table(table("notes")).collect()
    assert row.asDict(recursive=True) == {
        "day": DAY, "author": None, "marks": [{"place": None, "tag": "jazz", "score": None}],
    }  # fmt: skip


def test_rows_of_both_schemas_are_read_by_pyiceberg(notes: Any, tmp_path: Path) -> None:
    before = metadata(tmp_path).current_snapshot()
    create_tables(notes)
    rows = frame_of_rows(notes, [(DAY, "a" * 64, [(None, "chess", 0.5)])], notes.table(table("notes")).schema)
    rows.writeTo(table("notes")).append()
    kept = metadata(tmp_path)
    assert before is not None
    assert kept.scan(snapshot_id=before.snapshot_id).to_arrow().to_pylist() == [
        {"day": DAY, "marks": [{"tag": "jazz"}]}
    ]
    found = sorted(kept.scan().to_arrow().to_pylist(), key=lambda row: row["marks"][0]["tag"])
    assert found == [
        {"day": DAY, "author": "a" * 64, "marks": [{"place": None, "tag": "chess", "score": 0.5}]},
        {"day": DAY, "author": None, "marks": [{"place": None, "tag": "jazz", "score": None}]},
    ]


def test_analysts_read_both_the_former_and_the_new_release(notes: Any, tmp_path: Path) -> None:
    before = metadata(tmp_path).current_snapshot()
    create_tables(notes)
    after = metadata(tmp_path).current_snapshot()
    assert before is not None
    assert after is not None
    catalog: Any = SimpleNamespace(load_table=lambda _: metadata(tmp_path))
    rows = {
        one.snapshot_id: answer(
            "SELECT * FROM notes", ["notes"], tables_of(catalog, release_of(one.snapshot_id))
        ).to_pylist()
        for one in (before, after)
    }
    assert rows == {
        before.snapshot_id: [{"day": DAY, "marks": [{"tag": "jazz"}]}],
        after.snapshot_id: [{"day": DAY, "author": None, "marks": [{"place": None, "tag": "jazz", "score": None}]}],
    }


def release_of(snapshot: int) -> Release:
    return Release(DAY, datetime(2026, 2, 1, tzinfo=UTC), "run-1", {"notes": snapshot})


def metadata(folder: Path) -> StaticTable:
    files = (folder / "tables" / "interest" / "notes" / "metadata").glob("v*.metadata.json")
    newest = max(files, key=lambda file: int(file.name[1:].split(".")[0]))
    return StaticTable.from_metadata(str(newest))


def test_the_newest_snapshot_has_the_added_columns(notes: Any) -> None:
    create_tables(notes)
    newest = notes.sql("SELECT snapshot_id FROM interest.notes.refs WHERE name = 'main'").first().snapshot_id
    assert "author" in notes.read.option("versionAsOf", newest).table(table("notes")).columns


def test_a_table_that_lacks_nothing_keeps_its_snapshot(notes: Any, tmp_path: Path) -> None:
    create_tables(notes)
    once = metadata(tmp_path).metadata
    create_tables(notes)
    assert metadata(tmp_path).metadata == once


@pytest.mark.parametrize(
    ("former", "column"), [("DATE ", "day is date"), ("tag: STRING", "marks.element.tag is string")]
)
def test_a_column_of_another_type_is_an_error(notes: Any, declare: Any, former: str, column: str) -> None:
    declare(NEW.replace(former, former.replace("DATE", "STRING").replace(": STRING", ": INT")))
    with pytest.raises(InputError, match=f"interest.notes: column {column}, but notes.sql declares"):
        create_tables(notes)
    assert notes.table(table("notes")).columns == ["day", "marks"]


def test_all_tables_can_be_created_twice(iceberg: Any) -> None:
    create_tables(iceberg)
    create_tables(iceberg)
    for file in ddl_files():
        found = iceberg.table(table(file.stem)).schema
        assert found == declared_schema(file.read_text(encoding="utf-8")), file.name
        assert iceberg.sql(f"SELECT count(*) AS n FROM {table(file.stem)}.snapshots").first().n == 1
