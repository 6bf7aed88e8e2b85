"""Rows of one item that an earlier version wrote become one, on a real Iceberg table of Spark in a folder."""

from datetime import datetime
from typing import Any

import pytest

from pipeline.warehouse.tables import create_tables, merge_item_copies, table, table_properties

OLD, NEW, NEWEST = datetime(2026, 1, 1), datetime(2026, 1, 2), datetime(2026, 1, 3)


def rows(iceberg: Any) -> list[tuple[Any, ...]]:
    found = iceberg.table(table("items")).orderBy("item_id").collect()
    return [(one.item_id, one.title, one.tags, [round(x, 2) for x in one.content], one.first_seen_at, one.last_seen_at)
            for one in found]  # fmt: skip


def test_copies_of_an_item_become_one_row_once(iceberg: Any, capsys: pytest.CaptureFixture[str]) -> None:
    create_tables(iceberg)
    items = iceberg.table(table("items"))
    content = [
        ("shop", "a", 1, "Tea", ["old"], [0.5], OLD, OLD),
        ("shop", "a", 1, None, ["new"], [], NEW, NEWEST),
        ("shop", "b", 2, None, [], [], NEW, NEW),
        ("shop", "c", 3, "Cup", ["cup"], [], None, None),
    ]
    iceberg.createDataFrame(content, items.schema).coalesce(1).writeTo(table("items")).append()
    merge_item_copies(iceberg, table_properties(iceberg))
    expected = [
        ("a", "Tea", ["new"], [0.5], OLD, NEWEST),
        ("b", None, [], [], NEW, NEW),
        ("c", "Cup", ["cup"], [], None, None),
    ]
    assert rows(iceberg) == expected
    assert "1 items had several rows" in capsys.readouterr().out
    iceberg.createDataFrame(content[:1], items.schema).writeTo(table("items")).append()
    merge_item_copies(iceberg, table_properties(iceberg))
    assert len(rows(iceberg)) == 4, "it is done once"
