"""A catalog that is not the local one: Iceberg's JDBC catalog on SQLite, which Spark writes and PyIceberg reads.

The tests share one home, and each begins where the one before ended.
"""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.analyst.query import view_names

pytestmark = pytest.mark.end_to_end

DAY = "2026-01-31"
EVENTS = 40
TOML = """
name = "shop"
[reader]
format = "jsonl"
fields = "id STRING, user STRING, time STRING, type STRING, item STRING, tags ARRAY<STRING>"
[columns]
event_id = "id"
user_id = "user"
event_at = "to_timestamp(time)"
event_type = "type"
item_id = "item"
tags = "tags"
[event_types.view]
as = "view"
"""


def log_line(number: int) -> str:
    at = f"{DAY}T10:{number:02d}:00Z"
    event = {"id": str(number), "user": f"u{number % 8}", "time": at, "type": "view", "item": f"i{number % 5}"}
    return json.dumps({**event, "tags": [f"t{number % 5}"]})


def test_a_night_needs_no_local_postgres(remote_installation: Any, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(TOML)
    (tmp_path / "log.jsonl").write_text("\n".join(log_line(number) for number in range(EVENTS)) + "\n")
    remote_installation.do("land", "--source", tmp_path / "shop.toml", tmp_path / "log.jsonl")
    assert "published 2026-01-31" in remote_installation.do("run", "--day", DAY)
    [counts] = remote_installation.ask(
        "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM current_profiles) AS profiles"
    )
    assert counts == {"events": EVENTS, "profiles": 8}
    assert not (remote_installation.home / "postgres").exists()
    with sqlite3.connect(remote_installation.home.parent / "catalog.db") as catalog:
        views = catalog.execute("SELECT table_name FROM iceberg_tables WHERE iceberg_type = 'VIEW'").fetchall()
    assert sorted(name for (name,) in views) == view_names()


def test_without_lease_url_the_local_postgres_starts_for_the_lease(remote_installation: Any) -> None:
    variables = {name: text for name, text in remote_installation.environment.items() if "LEASE" not in name}
    home_alone = replace(remote_installation, environment=variables)
    assert home_alone.ask("SELECT count(*) AS n FROM sessions") == [{"n": 8}]
    assert not (home_alone.home / "postgres").exists(), "reading needs no lease"
    home_alone.do("sequences", "--day", DAY)
    assert (home_alone.home / "postgres" / "data").is_dir()
    assert home_alone.ask("SELECT count(*) AS n FROM sequences") == [{"n": 8}]
