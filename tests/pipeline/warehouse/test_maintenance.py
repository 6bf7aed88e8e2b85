"""Maintenance keeps released days readable, and nothing else: on real Iceberg tables in a folder."""

import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Row

from pipeline.local import rotation
from pipeline.local.rotation import delete_old_files
from pipeline.settings import load_settings
from pipeline.transforms.rows import frame_of_rows
from pipeline.warehouse.maintenance import PROPERTIES, kept_snapshots, maintain_table
from pipeline.warehouse.tables import table

NOW = datetime(2026, 3, 10, 12)


def release(day: int, snapshot: int, published_at: datetime) -> Row:
    return Row(as_of=date(2026, 3, day), snapshots={"events": snapshot}, published_at=published_at)


def test_the_newest_release_of_each_kept_day_stays_and_what_readers_hold() -> None:
    """Day 7 was published twice; a replay of day 1 was published an hour ago; its first release is long past."""
    nights = [release(day, day, datetime(2026, 3, day + 1)) for day in range(1, 8)]
    again = release(7, 70, datetime(2026, 3, 8, 6))
    assert kept_snapshots([*nights, again], 3, NOW) == {"events": {5, 6, 70}}
    set_back = release(7, 71, datetime(2026, 3, 8, 5))
    assert kept_snapshots([*nights, again, set_back], 3, NOW) == {"events": {5, 6, 71}}, "by their order, not by time"
    replayed = release(1, 10, NOW - timedelta(hours=1))
    held = release(8, 80, NOW - timedelta(hours=40))
    assert kept_snapshots([*nights, again, held, replayed], 1, NOW)["events"] >= {10, 80}
    assert kept_snapshots(nights, 1, NOW) == {"events": {7}}
    assert kept_snapshots([], 3, NOW) == {}


def test_old_snapshots_go_and_the_kept_ones_read_as_before(iceberg: Any, tmp_path: Path) -> None:
    """Twelve appends of one row to one partition; snapshots 4 and 12 are of releases, a branch holds the 11th."""
    iceberg.sql("CREATE NAMESPACE interest")
    iceberg.sql(f"CREATE TABLE {table('events')} (day DATE, n INT) USING iceberg PARTITIONED BY (day)")
    snapshots = []
    for number in range(12):
        frame_of_rows(iceberg, [(date(2026, 3, 1), number)], "day DATE, n INT").writeTo(table("events")).append()
        (newest,) = iceberg.sql(f"SELECT snapshot_id FROM {table('events')}.refs WHERE name = 'main'").collect()
        snapshots.append(newest.snapshot_id)

    def rows(snapshot: int) -> list[int]:
        read = iceberg.read.option("versionAsOf", snapshot).table(table("events"))
        return sorted(row.n for row in read.collect())

    kept = {snapshots[3], snapshots[11]}
    done = maintain_table(iceberg, "events", kept, True, datetime.now())
    assert (done.merged_files, done.snapshots_before, done.snapshots_after) == (12, 13, 3)
    assert done.deleted_files > 0 and "13 snapshots before, 3 after" in str(done)
    assert rows(snapshots[3]) == list(range(4)) and rows(snapshots[11]) == list(range(12))
    assert iceberg.table(table("events")).count() == 12
    left = {row.snapshot_id for row in iceberg.table(f"{table('events')}.snapshots").collect()}
    assert kept < left and len(left) == 3
    properties = {row.key: row.value for row in iceberg.sql(f"SHOW TBLPROPERTIES {table('events')}").collect()}
    assert PROPERTIES.items() <= properties.items()
    again = maintain_table(iceberg, "events", kept, True, datetime.now())
    assert (again.merged_files, again.snapshots_after) == (0, 3)
    last = maintain_table(iceberg, "events", set(), False, datetime.now())
    assert last.snapshots_after == 1 and iceberg.table(table("events")).count() == 12


def test_old_logs_and_scores_go_and_long_logs_are_shortened(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(rotation, "MAX_LOG_BYTES", 1000)
    monkeypatch.setattr(rotation, "KEPT_BYTES", 100)
    ages = {"logs/2026-01-01/clean.log": 31, "logs/airflow/new.log": 29, "exchange/old/profiles/a": 8,
            "exchange/mixed/a": 8, "exchange/mixed/b": 1, "landing/web/a": 900}  # fmt: skip
    for name, age in ages.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x" * 10)
        at = NOW.timestamp() - age * 86_400
        os.utime(file, (at, at))
    long = tmp_path / "logs" / "engine.log"
    with long.open("a") as writer:  # as a process that goes on writing
        writer.write("".join(f"line {number:04}\n" for number in range(200)))
        writer.flush()
        os.utime(long, (NOW.timestamp(), NOW.timestamp()))
        settings = load_settings(home=tmp_path, keep_log_days=30)
        assert delete_old_files(settings, NOW.timestamp()) == (2, 20 + 2000 - 90)
        writer.write("after\n")
    assert long.read_text().splitlines()[:1] == ["line 0191"] and long.read_text().endswith("line 0199\nafter\n")
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {name for name in ages if name not in ("logs/2026-01-01/clean.log", "exchange/old/profiles/a")} | {
        "logs/engine.log"
    }


def test_of_folders_that_others_use_only_old_runs_go(tmp_path: Path) -> None:
    exchange, models = tmp_path / "exchange-of-all", tmp_path / "models-of-all"
    of_exchange = [exchange / name for name in ("old/manifest.json", "old/profiles/a", "of_others/a")]
    of_models = [models / name for name in ("checkpoints/training_1/7/network-1.pt", "models/one/model.json")]
    for file in (*of_exchange, *of_models):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x" * 10)
        os.utime(file, (0, 0))
    settings = load_settings(home=tmp_path / "home", exchange=str(exchange), models=str(models))
    assert delete_old_files(settings, NOW.timestamp()) == (3, 30)
    assert [file.name for file in exchange.iterdir()] == ["of_others"]
    assert [file.name for file in models.rglob("*") if file.is_file()] == ["model.json"]
