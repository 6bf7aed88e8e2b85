"""A catalog that is not the local one, which Spark writes and PyIceberg reads.

It is an Iceberg REST catalog with its tables in S3 where an S3 server is found (see `tests/remote_stack.py`), else
Iceberg's JDBC catalog on SQLite. The tests share one home, and each begins where the one before ended.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pipeline.analyst.query import view_names
from pipeline.errors import UsageError
from pipeline.local import postgres
from pipeline.local.cluster_checks import check_s3
from pipeline.runner.commands import STEPS
from pipeline.settings import Settings
from tests.bench.tiny_homes import link_jars
from tests.end_to_end.conftest import new_home
from tests.remote_stack import BUCKET, SECRET_KEY, RemoteStack, free_port, remote_stack, why_not

pytestmark = pytest.mark.end_to_end

DAY = "2026-01-31"
EVENTS, COPIED = 48, 40  # the others land in place
BUSY_SECONDS = 10
REGISTRY = "registry"
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


@pytest.fixture(scope="module")
def stack() -> Iterator[RemoteStack | None]:
    """The S3 server and the REST catalog; None where they cannot run."""
    if why_not():
        yield None
        return
    with TemporaryDirectory(prefix="throughline-tests-") as folder, remote_stack(Path(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def remote_home(stack: RemoteStack | None, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A home whose catalog and tables are remote, with the lease in the PostgreSQL of another home."""
    if stack is None:
        yield request.getfixturevalue("remote_installation")
        return
    with TemporaryDirectory(prefix="throughline-tests-", ignore_cleanup_errors=True) as folder:
        other = Settings(home=Path(folder) / "other", postgres_port=free_port())
        postgres.start(other)
        postgres.create_database(other, REGISTRY)
        variables = {
            **stack.variables,
            "THROUGHLINE_CATALOG": json.dumps(stack.catalog),
            "THROUGHLINE_LANDING": f"s3://{BUCKET}/landing",
            "THROUGHLINE_EXCHANGE": f"s3://{BUCKET}/exchange",
            "THROUGHLINE_MODELS": f"s3://{BUCKET}/models",
            "THROUGHLINE_REPORTS": f"s3://{BUCKET}/reports",
            "THROUGHLINE_LEASE_URL": postgres.url(other),
            "THROUGHLINE_REGISTRY_URL": postgres.url(other, REGISTRY),
        }
        with new_home(lambda _: variables) as made, pytest.MonkeyPatch.context() as here:
            for name, value in stack.variables.items():  # tests read the tables in this process
                here.setenv(name, value)
            yield made
        postgres.stop(other)


def log_line(number: int) -> str:
    at = f"{DAY}T10:{number:02d}:00Z"
    event = {"id": str(number), "user": f"u{number % 8}", "time": at, "type": "view", "item": f"i{number % 5}"}
    return json.dumps({**event, "tags": [f"t{number % 5}"]})


def test_a_night_needs_no_local_postgres(remote_home: Any, stack: RemoteStack | None, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(TOML)
    folder = stack.folder if stack else tmp_path  # what a collector wrote
    for name, numbers in (("incoming", range(COPIED)), (f"collected/dt={DAY}", range(COPIED, EVENTS))):
        (folder / name).mkdir(parents=True)
        (folder / name / "log.jsonl").write_text("\n".join(log_line(number) for number in numbers) + "\n")
    logs = f"s3://{BUCKET}" if stack else str(tmp_path)
    remote_home.do("land", "--source", tmp_path / "shop.toml", f"{logs}/incoming")
    remote_home.do("land", "--source", tmp_path / "shop.toml", "--in-place", f"{logs}/collected")
    assert "published 2026-01-31" in remote_home.do("run", "--day", DAY)
    [counts] = remote_home.ask(
        "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM current_profiles) AS profiles"
    )
    assert counts == {"events": EVENTS, "profiles": 8}
    assert not (remote_home.home / "postgres").exists()
    state = stack.state if stack else remote_home.home.parent
    with sqlite3.connect(state / "catalog.db") as catalog:
        views = catalog.execute("SELECT table_name FROM iceberg_tables WHERE iceberg_type = 'VIEW'").fetchall()
    assert sorted(name for (name,) in views) == view_names()


def test_tables_lie_in_s3_and_keys_in_no_file(remote_home: Any, stack: RemoteStack | None) -> None:
    if stack is None:
        pytest.skip(str(why_not()))
    written = {file.relative_to(stack.folder).parts[2] for file in stack.folder.rglob("*.parquet")}
    assert {"events", "sessions", "sequences", "profiles"} <= written
    assert not (remote_home.home / "warehouse").exists() and not (remote_home.home / "landing").exists()
    assert (stack.folder / "landing" / "shop" / DAY / "_LANDED").is_file()
    assert len(list((stack.folder / "exchange").glob(f"*/profiles/as_of={DAY}.parquet"))) == 1
    printed = remote_home.do("query", "--format", "csv", "SELECT count(*) AS rows FROM user_interests WHERE rank = 1")
    assert printed.splitlines()[-1] == "8"
    files = [file for file in remote_home.home.rglob("*") if file.is_file() and not file.is_symlink()]
    assert [file for file in files if SECRET_KEY.encode() in file.read_bytes()] == []


def test_two_machines_take_turns_in_a_night(remote_home: Any, stack: RemoteStack | None, tmp_path: Path) -> None:
    """As tasks of Airflow do on workers without a shared folder: each has a home of its own."""
    if stack is None:
        pytest.skip(str(why_not()))
    before = remote_home.fingerprints()
    key = (remote_home.home / "pseudonym.key").read_text()
    shared = {"THROUGHLINE_PSEUDONYM_KEY": key, "THROUGHLINE_LEASE_TOKEN": "of the run"}
    homes = [remote_home.home, tmp_path / "another-machine"]
    homes[1].mkdir()
    link_jars(homes[1])
    environments = [{**remote_home.environment, **shared, "THROUGHLINE_HOME": str(home)} for home in homes]
    machines = [replace(remote_home, environment=environment) for environment in environments]
    try:
        for number, step in enumerate(STEPS):
            machines[number % 2].do(step, "--day", DAY)
    finally:
        machines[1].do("down")
    assert remote_home.fingerprints() == before
    assert (stack.folder / "reports" / f"{DAY}.html").is_file()
    assert (stack.folder / "reports" / "data_docs" / f"{DAY}.html").is_file()
    for home in homes:
        state = {one.name for one in home.iterdir()}
        assert not state & {"landing", "warehouse", "reports", "data_docs", "mlruns", "postgres"}, state


def test_a_night_waits_for_an_s3_server_that_is_busy(remote_home: Any, stack: RemoteStack | None) -> None:
    """While a step writes events, and while one writes sequences."""
    if stack is None:
        pytest.skip(str(why_not()))
    before = remote_home.fingerprints()
    with ThreadPoolExecutor(1) as beside:
        night = beside.submit(remote_home.call, "run", "--day", DAY)
        for name in ("events", "sequences"):
            data = stack.folder / "warehouse" / "interest" / name / "data"
            known = set(data.rglob("*.parquet"))
            while not night.done() and set(data.rglob("*.parquet")) <= known:
                time.sleep(0.1)
            assert not night.done(), f"{name}: {night.result()}"
            stack.server.be_busy(BUSY_SECONDS)
    done = night.result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert remote_home.fingerprints() == before


def test_upkeep_finds_orphan_files_in_s3(remote_home: Any, stack: RemoteStack | None) -> None:
    if stack is None:
        pytest.skip(str(why_not()))
    orphan = next((stack.folder / "warehouse" / "interest").glob("events/data")) / "orphan.parquet"
    orphan.write_bytes(b"left by a killed job")
    os.utime(orphan, (0, 0))
    remote_home.do("maintain")
    assert not orphan.exists()
    assert remote_home.ask("SELECT count(*) AS n FROM events") == [{"n": EVENTS}]


def test_doctor_tries_each_part_of_a_cluster(
    remote_home: Any, stack: RemoteStack | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stack is None:
        pytest.skip(str(why_not()))
    printed = remote_home.do("doctor", "--cluster")
    assert f"S3: lake at {stack.s3_url}" in printed and f"catalog: rest at {stack.catalog_url}" in printed
    for part in ("submit", "create", "write", "read by Spark", "read by PyIceberg", "branch", "publish", "drop"):
        assert f"probe: {part} " in printed
    with sqlite3.connect(stack.state / "catalog.db") as catalog:
        query = "SELECT count(*) FROM iceberg_tables WHERE table_namespace = 'throughline_probe'"
        assert catalog.execute(query).fetchall() == [(0,)]

    with pytest.raises(UsageError, match="setting catalog: no bucket 'lack': make it"):
        check_s3(Settings(home=remote_home.home, catalog={**stack.catalog, "warehouse": "s3://lack/warehouse"}))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-key")
    with pytest.raises(UsageError, match="S3 refuses to list lake"):
        check_s3(Settings(home=remote_home.home, catalog=stack.catalog))


def test_without_lease_url_the_local_postgres_starts_for_the_lease(remote_home: Any) -> None:
    variables = {name: text for name, text in remote_home.environment.items() if "LEASE" not in name}
    home_alone = replace(remote_home, environment=variables)
    assert home_alone.ask("SELECT count(*) AS n FROM sessions") == [{"n": 8}]
    assert not (home_alone.home / "postgres").exists(), "reading needs no lease"
    home_alone.do("sequences", "--day", DAY)
    assert (home_alone.home / "postgres" / "data").is_dir()
    assert home_alone.ask("SELECT count(*) AS n FROM sequences") == [{"n": 8}]


def test_a_log_lands_by_a_spark_that_does_not_see_this_disk(
    remote_home: Any, stack: RemoteStack | None, tmp_path: Path
) -> None:
    """Spark finds the days of lines in the landing zone, as a server of Spark Connect elsewhere does."""
    if stack is None:
        pytest.skip(str(why_not()))
    engine = json.loads((remote_home.home / "engine" / "engine.json").read_text())
    elsewhere = {"THROUGHLINE_SPARK_ENGINE": f"sc://localhost:{engine['port']}/;token={engine['token']}"}
    (tmp_path / "other.toml").write_text(TOML.replace('"shop"', '"other"'))
    lines = [log_line(number) for number in range(6)]
    lines += [line.replace(DAY, "2026-02-01") for line in lines[:2]]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    done = remote_home.call("land", "--source", tmp_path / "other.toml", tmp_path / "log.jsonl", **elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    landed = {file.parent.name for file in (stack.folder / "landing" / "other").rglob("*.parquet")}
    assert landed == {DAY, "2026-02-01"}
    assert [file for file in (stack.folder / "landing" / ".staging").rglob("*") if file.is_file()] == []
