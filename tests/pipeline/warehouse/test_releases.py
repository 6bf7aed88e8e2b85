"""Releases follow each other by their number, on a real Iceberg table of Spark in a folder."""

from datetime import UTC, date, datetime
from typing import Any, ClassVar

import pytest

from pipeline.transforms.rows import frame_of_rows
from pipeline.warehouse import writes
from pipeline.warehouse.tables import create_tables, table
from pipeline.warehouse.writes import add_release, releases_in_order

OLDER = "as_of DATE, published_at TIMESTAMP, run_id STRING, snapshots MAP<STRING, BIGINT>, code_version STRING, " \
        "config_hash STRING"  # fmt: skip


class SetBack(datetime):
    """A clock that was three days ahead once, and is right again."""

    days: ClassVar = [4, 1, 2]

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime(2026, 3, cls.days.pop(0), tzinfo=UTC)


def test_a_clock_that_is_set_back_changes_no_order(iceberg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    create_tables(iceberg)
    monkeypatch.setattr(writes, "datetime", SetBack)
    for run in ("ahead", "right", "a day later"):
        add_release(iceberg, date(2026, 3, 1), run, {"events": 1}, "hash")
    found = releases_in_order(iceberg)
    assert [(one.run_id, one.number) for one in found] == [("ahead", 1), ("right", 2), ("a day later", 3)]
    assert found[0].published_at > found[-1].published_at, "else the test shows nothing"


def test_releases_of_an_older_home_come_first_by_their_time(iceberg: Any) -> None:
    iceberg.sql("CREATE NAMESPACE interest")
    iceberg.sql(f"CREATE TABLE {table('releases')} ({OLDER}) USING iceberg")
    rows = [(date(2026, 3, 1), datetime(2099, 3, day), f"older {day}", {}, "0.1.0", "hash") for day in (2, 1)]
    frame_of_rows(iceberg, rows, OLDER).writeTo(table("releases")).append()
    create_tables(iceberg)
    add_release(iceberg, date(2026, 3, 1), "new", {}, "hash")
    found = [(one.run_id, one.number) for one in releases_in_order(iceberg)]
    assert found == [("older 1", None), ("older 2", None), ("new", 1)]
