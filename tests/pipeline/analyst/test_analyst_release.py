"""Analysts see a release, whatever was written after it."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.analyst.ddl import declared_columns
from pipeline.analyst.release import newest_release, read_table, row_count
from pipeline.errors import InputError

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)


@pytest.mark.parametrize(
    ("as_of", "run_id"),
    [(None, "run-4"), (SECOND, "run-4"), (FIRST, "run-1"), (date(2026, 1, 3), "run-4"), (date(2026, 3, 1), "run-3")],
)
def test_the_release_is_the_newest_or_the_last_one_up_to_a_day(
    three_nights: Any, as_of: date | None, run_id: str
) -> None:
    assert newest_release(three_nights.catalog, as_of).run_id == run_id


def test_a_clock_that_is_set_back_makes_no_older_release_the_newest(warehouse: Any) -> None:
    """The clock was three days ahead at the first publication. The releases of an older version have no number."""
    days = {"older": (None, 5), "ahead": (1, 4), "right": (2, 1)}
    rows = [
        {"as_of": FIRST, "number": number, "published_at": datetime(2026, 2, day, tzinfo=UTC), "run_id": run_id}
        for run_id, (number, day) in days.items()
    ]
    warehouse.append("releases", *reversed(rows))
    assert newest_release(warehouse.catalog, None).run_id == "right"
    assert newest_release(warehouse.catalog, FIRST).run_id == "right"


def test_the_releases_of_an_older_home_are_read_before_its_next_night(warehouse: Any) -> None:
    """Their table lacks the column `number`."""
    columns = [pa.field(one.name, one.type) for one in declared_columns("releases") if one.name != "number"]
    older = pa.schema(columns)
    kept = warehouse.catalog.create_table(("interest", "releases"), schema=older)
    texts = {"run_id": "r", "code_version": "0.1.0", "config_hash": "h", "snapshots": []}
    rows = [{**texts, "as_of": FIRST, "published_at": datetime(2026, 2, day, tzinfo=UTC), "run_id": f"run-{day}"}
            for day in (2, 1)]  # fmt: skip
    kept.append(pa.Table.from_pylist(rows, schema=older))
    assert newest_release(warehouse.catalog, None).run_id == "run-2"


def test_a_table_is_read_at_the_snapshot_of_the_release(three_nights: Any) -> None:
    first, newest = newest_release(three_nights.catalog, FIRST), newest_release(three_nights.catalog, None)
    assert read_table(three_nights.catalog, first, "items", ["item_id"]).to_pydict() == {"item_id": ["item-0"]}
    assert read_table(three_nights.catalog, newest, "items").num_rows == 4


def test_rows_are_counted_at_the_snapshot_of_the_release(three_nights: Any) -> None:
    """Rows of later nights and of an unpublished night are not counted."""
    first, newest = newest_release(three_nights.catalog, FIRST), newest_release(three_nights.catalog, None)
    assert [row_count(three_nights.catalog, release, "items") for release in (first, newest)] == [1, 4]
    assert row_count(three_nights.catalog, first, "releases") == 4


def test_releases_are_read_as_they_are_now(three_nights: Any) -> None:
    assert read_table(three_nights.catalog, newest_release(three_nights.catalog, FIRST), "releases").num_rows == 4


def test_without_a_release_the_message_says_how_to_make_one(warehouse: Any) -> None:
    with pytest.raises(InputError, match="nothing is published yet: run a night with `throughline run --day D`"):
        newest_release(warehouse.catalog, None)


def test_a_day_before_all_releases_names_the_oldest(three_nights: Any) -> None:
    with pytest.raises(InputError, match="the oldest is of 2026-01-01"):
        newest_release(three_nights.catalog, date(2025, 12, 31))


def test_an_unknown_table_lists_the_known_ones(three_nights: Any) -> None:
    with pytest.raises(InputError, match="no table 'events': it has items, releases"):
        read_table(three_nights.catalog, newest_release(three_nights.catalog, None), "events")


def test_a_removed_snapshot_is_an_error(warehouse: Any) -> None:
    for day in (FIRST, SECOND):
        warehouse.append("items", {"item_id": f"{day}"})
        warehouse.publish(day)
    oldest = newest_release(warehouse.catalog, FIRST)
    items = warehouse.catalog.load_table(("interest", "items"))
    items.maintenance.expire_snapshots().by_id(oldest.snapshots["items"]).commit()
    with pytest.raises(InputError, match="which is gone: an erasure or a clean-up removed it"):
        read_table(warehouse.catalog, oldest, "items")


def test_the_catalog_is_configured_by_the_environment(tmp_path: Path) -> None:
    """In a process of its own, since PyIceberg reads its settings once."""
    code = "from pipeline.analyst.release import open_catalog; print(open_catalog().name)"
    environment = {**os.environ, "PYICEBERG_HOME": str(tmp_path), "HOME": str(tmp_path)}

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "InputError: no catalog throughline found" in run().stderr
    properties = f"    type: sql\n    uri: sqlite:///{tmp_path}/catalog.db\n    warehouse: file://{tmp_path}\n"
    (tmp_path / ".pyiceberg.yaml").write_text(f"catalog:\n  throughline:\n{properties}")
    assert run().stdout == "throughline\n"
