"""Nights under a real Airflow: scheduler, triggerer, DAG processor, web UI and PostgreSQL.

The tests share one Airflow, and each begins where the one before ended. Its tables are compared with those that the
terminal made of the same log.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import psycopg
import pytest

from pipeline.local import postgres
from pipeline.local.airflow_client import AirflowApi
from pipeline.local.airflow_config import DATABASE
from pipeline.local.rotation import tidy_databases
from tests.end_to_end.search_home import places_of
from tests.waiting import wait_until

pytestmark = pytest.mark.end_to_end

NIGHTLY = "interest_nightly"
TASKS = ("wait_for_landing", "clean", "sessions", "sequences", "score", "profiles", "audit", "publish")


@dataclass(frozen=True)
class Airflow:
    """Airflow on an installation. Its command line makes backfills; its REST API, which is faster, does the rest."""

    installation: Any

    @cached_property
    def api(self) -> AirflowApi:
        return AirflowApi(self.installation.settings())

    def call(self, *arguments: str) -> str:
        return str(self.installation.do("airflow", *arguments))

    def runs(self) -> dict[str, dict[str, Any]]:
        runs = self.api.request("GET", f"/api/v2/dags/{NIGHTLY}/dagRuns")["dag_runs"]
        return {run["dag_run_id"]: run for run in runs}

    def state(self, run_id: str) -> str:
        return self.api.run_state(NIGHTLY, run_id)

    def states(self, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run."""
        return self.api.task_states(NIGHTLY, run_id)

    def backfill(self, first: Any, last: Any, *options: str) -> None:
        """Create a backfill. Airflow takes one of a DAG at a time, and sees half a minute later that one has ended."""

        def has_ended() -> bool:
            found = self.api.request("GET", f"/api/v2/backfills?dag_id={NIGHTLY}")["backfills"]
            return all(one["completed_at"] for one in found)

        wait_until(has_ended, 120)
        self.call(
            "backfill", "create", "--dag-id", NIGHTLY, "--from-date", str(first), "--to-date", str(last), *options
        )

    def log(self, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return the messages of a task's log."""
        folder = self.installation.home / "logs" / "airflow" / f"dag_id={NIGHTLY}" / f"run_id={run_id}"
        lines = (folder / f"task_id={task_id}" / f"attempt={attempt}.log").read_text().splitlines()
        return "\n".join(str(json.loads(line)["event"]) for line in lines if line.startswith("{"))

    def wait_for(self, run_ids: list[str], state: str, minutes: float = 25) -> None:
        """Wait until runs have ended; fail with the states of their tasks if they end in another state."""

        wait_until(lambda: all(self.state(run_id) in ("success", "failed") for run_id in run_ids), minutes * 60, 2)
        others = {run_id: self.states(run_id) for run_id in run_ids if self.state(run_id) != state}
        assert not others, f"not {state}: {others}"


def run_id_of(day: Any) -> str:
    """Return the id of a day's backfilled run, which names the time after which it runs, one day later."""
    return f"backfill__{datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%S}+00:00"


@pytest.fixture(scope="module")
def airflow(shop: Any, another_installation: Any) -> Airflow:
    """Airflow up, with the log landed and the nightly DAG unpaused."""
    another_installation.do("land", "--source", "demo", shop.folder)
    printed = another_installation.do("up")
    assert "Airflow is up" in printed and "user operator" in printed
    made = Airflow(another_installation)
    made.api.unpause(NIGHTLY)
    return made


@pytest.fixture(scope="module")
def backfilled(airflow: Airflow, shop: Any) -> Airflow:
    """Two days backfilled at once. The engine was killed during `sessions`."""
    days = [shop.empty_day, shop.last]
    airflow.backfill(days[0], days[-1], "--max-active-runs", "2")
    kill_engine(airflow, "sessions")
    airflow.wait_for([run_id_of(day) for day in days], "success")
    return airflow


def kill_engine(airflow: Airflow, job: str) -> None:
    """Kill the engine of this home a moment after a job has begun to work on it."""
    log = f"pipeline.jobs {job} "

    def works() -> bool:
        return any(
            log in " ".join(process.info["cmdline"] or [])
            and (process.info["environ"] or {}).get("THROUGHLINE_HOME") == str(airflow.installation.home)
            for process in psutil.process_iter(["cmdline", "environ"])
        )

    wait_until(works, 600)
    time.sleep(3)
    record = json.loads((airflow.installation.home / "engine" / "server.json").read_text())
    psutil.Process(record["pid"]).kill()


def test_a_second_up_says_that_it_is_up(airflow: Airflow) -> None:
    assert "Airflow is up already" in airflow.installation.do("up")


def test_it_listens_on_loopback_only(airflow: Airflow) -> None:
    ports = {int(airflow.installation.environment[f"THROUGHLINE_{name}_PORT"]) for name in ("AIRFLOW", "POSTGRES")}
    records = (airflow.installation.home / "airflow" / "processes").glob("*.json")
    leaders = [psutil.Process(json.loads(record.read_text())["pid"]) for record in records]
    assert len(leaders) == 4
    assert all(os.getpgid(leader.pid) == leader.pid for leader in leaders), "each leads its own group"
    family = [process for leader in leaders for process in (leader, *leader.children(recursive=True))]
    listening = {address for process in family for address in listening_of(process)}
    assert {address for address, _ in listening} == {"127.0.0.1"}
    assert {port for _, port in listening} <= ports


def listening_of(process: psutil.Process) -> list[tuple[str, int]]:
    """Return the addresses at which a process listens; none if it has ended meanwhile, as tasks do."""
    try:
        connections = process.net_connections("inet")
    except psutil.NoSuchProcess:
        return []
    return [(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN]


def test_the_pools_are_there(airflow: Airflow) -> None:
    pools = {pool["name"]: pool for pool in airflow.api.request("GET", "/api/v2/pools")["pools"]}
    assert {name: pools[name]["slots"] for name in ("spark", "gpu", "maintenance")} == {
        "spark": 1,
        "gpu": 1,
        "maintenance": 1,
    }
    assert pools["gpu"]["include_deferred"]


def test_the_scheduled_night_is_skipped_after_a_week_without_landing(airflow: Airflow) -> None:
    """Unpausing the DAG starts yesterday's night; the shop landed nothing in the week before."""

    def scheduled() -> list[dict[str, Any]]:
        return [run for run in airflow.runs().values() if run["run_type"] == "scheduled"]

    wait_until(lambda: scheduled() and scheduled()[0]["state"] == "success", 120, 2)
    states = airflow.states(scheduled()[0]["dag_run_id"])
    assert states == dict.fromkeys(TASKS, "skipped")


def test_a_backfill_makes_runs_of_the_right_days(backfilled: Airflow, shop: Any) -> None:
    days = [shop.empty_day, shop.last]
    logical_days = [run["logical_date"][:10] for name, run in backfilled.runs().items() if name.startswith("backfill")]
    assert sorted(logical_days) == [str(day) for day in days]
    for day in days:
        run_id = run_id_of(day)
        assert backfilled.states(run_id) == dict.fromkeys(TASKS, "success")
        assert f"pipeline.jobs clean --day {day} --run-id backfill__" in backfilled.log(run_id, "clean")
        assert f"published {day}: events" in backfilled.log(run_id, "publish")
    assert [row["as_of"] for row in backfilled.installation.ask("SELECT as_of FROM releases ORDER BY as_of")] == [
        str(day) for day in days
    ]


def test_a_night_links_to_its_report(backfilled: Airflow, shop: Any) -> None:
    """The page is for those who are logged in, by a token or by the cookie of the web UI."""
    api, run_id = backfilled.api, run_id_of(shop.last)
    path = f"/api/v2/dags/{NIGHTLY}/dagRuns/{quote(run_id)}/taskInstances/publish/links"
    link = api.request("GET", path)["extra_links"]["Report"]
    assert link.endswith(f"/reports/{shop.last}.html")
    token = api._client.headers["Authorization"].removeprefix("Bearer ")
    with httpx.Client(trust_env=False) as browser:
        assert browser.get(link).status_code == 401
        browser.cookies.set("_token", token)
        page = browser.get(link)
        assert page.status_code == 200 and f"<h1>Night of {shop.last}</h1>" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        for answer in (page, browser.get(link.partition("/reports")[0])):
            assert answer.headers["x-frame-options"] == "SAMEORIGIN"
            assert answer.headers["x-content-type-options"] == "nosniff"
        index = browser.get(link.replace(f"{shop.last}.html", "index.html")).text
        assert all(f'href="{day}.html"' in index for day in (shop.empty_day, shop.last))
        assert browser.get(link.replace(f"{shop.last}.html", "..%2Fsettings.toml")).status_code == 404


def test_one_night_wrote_at_a_time(backfilled: Airflow, shop: Any) -> None:
    """Two runs start at once, since `max_active_runs` of the DAG does not bind backfills; the lease does."""
    logs = [backfilled.log(run_id_of(day), "clean") for day in (shop.empty_day, shop.last)]
    assert sum("one night writes at a time; the slot is free meanwhile" in log for log in logs) == 1


def test_a_step_whose_engine_was_killed_was_retried(backfilled: Airflow, shop: Any) -> None:
    ids = [run_id_of(day) for day in (shop.empty_day, shop.last)]
    folder = backfilled.installation.home / "logs" / "airflow" / f"dag_id={NIGHTLY}"
    tried_twice = [run_id for run_id in ids if (folder / f"run_id={run_id}/task_id=sessions/attempt=2.log").is_file()]
    assert len(tried_twice) == 1
    assert "published" in backfilled.log(tried_twice[0], "publish")


def test_an_empty_day_succeeded_with_a_warning(backfilled: Airflow, shop: Any) -> None:
    log = backfilled.log(run_id_of(shop.empty_day), "clean")
    assert f"warning: nothing landed on {shop.empty_day}; it counts as empty" in log


def test_airflow_publishes_what_the_terminal_publishes(
    backfilled: Airflow, published: Any, published_of: Callable[[Any], Any]
) -> None:
    """Equal tables. Both scored the last day as a night: equal users and tags, affinities within 1e-4."""
    found = published_of(backfilled.installation)
    assert found.fingerprints == published.fingerprints
    here, there = found.affinities, published.affinities
    assert len(there) > 500 and here.keys() == there.keys()
    assert max(abs(here[key] - there[key]) for key in there) <= 1e-4


def test_asset_events_have_rows_and_snapshots(backfilled: Airflow, shop: Any) -> None:
    release = backfilled.installation.ask(f"SELECT * FROM releases WHERE as_of = DATE '{shop.last}'")[0]
    rows = backfilled.installation.ask("SELECT count(*) AS n FROM sessions", shop.last)[0]["n"]
    extra = asset_event(backfilled, "interest.sessions", run_id_of(shop.last))
    assert extra["as_of"] == str(shop.last)
    assert extra["snapshot_id"] == str(dict(release["snapshots"])["sessions"])
    assert extra["rows"] == rows


def asset_event(airflow: Airflow, asset: str, run_id: str) -> dict[str, Any]:
    """Return what the publication of a run wrote about an asset, from Airflow's database."""
    port = airflow.installation.environment["THROUGHLINE_POSTGRES_PORT"]
    password = (airflow.installation.home / "postgres" / "password").read_text().strip()
    with psycopg.connect(f"postgresql://throughline:{password}@127.0.0.1:{port}/airflow") as connection:
        rows = connection.execute(
            "SELECT asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id "
            "WHERE asset.name = %s AND source_run_id = %s ORDER BY asset_event.id",
            [asset, run_id],
        ).fetchall()
    return dict(rows[-1][0])


def test_reprocessing_a_day_doubles_nothing(
    backfilled: Airflow, published: Any, published_of: Callable[[Any], Any], shop: Any
) -> None:
    runs_before = backfilled.runs().keys()
    releases = "SELECT count(*) AS n FROM releases"
    before = backfilled.installation.ask(releases)[0]["n"]
    backfilled.backfill(shop.last, shop.last, "--reprocess-behavior", "completed")
    wait_until(lambda: backfilled.state(run_id_of(shop.last)) in ("queued", "running"), 60, 1)
    backfilled.wait_for([run_id_of(shop.last)], "success")
    assert backfilled.runs().keys() == runs_before
    assert backfilled.installation.ask(releases)[0]["n"] == before + 1
    assert published_of(backfilled.installation).fingerprints == published.fingerprints
    [doubled] = backfilled.installation.ask("SELECT count(*) - count(DISTINCT (user_id, as_of)) AS n FROM profiles")
    assert doubled["n"] == 0


def test_a_cleared_task_of_a_published_night_succeeds(
    backfilled: Airflow, published: Any, published_of: Callable[[Any], Any], shop: Any
) -> None:
    before = backfilled.installation.ask("SELECT count(*) AS n FROM releases")[0]["n"]
    as_the_button_does = {
        "dry_run": False,
        "dag_run_id": run_id_of(shop.last),
        "task_ids": ["sequences"],
        "include_downstream": True,
        "only_failed": False,
    }
    cleared = backfilled.api.request("POST", f"/api/v2/dags/{NIGHTLY}/clearTaskInstances", as_the_button_does)
    cleared_tasks = {task["task_id"] for task in cleared["task_instances"]}
    assert cleared_tasks == set(TASKS[TASKS.index("sequences") :])
    wait_until(lambda: backfilled.state(run_id_of(shop.last)) in ("queued", "running"), 60, 1)
    backfilled.wait_for([run_id_of(shop.last)], "success")
    assert backfilled.installation.ask("SELECT count(*) AS n FROM releases")[0]["n"] == before + 1
    assert published_of(backfilled.installation).fingerprints == published.fingerprints


def test_a_failed_gate_fails_a_run_by_hand_without_retries(
    backfilled: Airflow, shop: Any, tmp_path: Path, good_line: Any
) -> None:
    day = shop.last + timedelta(days=1)
    bad = tmp_path / f"events-{day}.jsonl"
    bad.write_text("".join(["half a li\n"] * 60 + [good_line(day, number) for number in range(40)]))
    backfilled.installation.do("land", "--source", "demo", bad)
    release = backfilled.installation.ask("SELECT max(published_at) AS newest FROM releases")
    by_hand = {"dag_run_id": "by_hand:a_bad_day", "logical_date": None, "conf": {"day": str(day)}}
    backfilled.api.request("POST", f"/api/v2/dags/{NIGHTLY}/dagRuns", by_hand)
    backfilled.wait_for(["by_hand:a_bad_day"], "failed")
    states = backfilled.states("by_hand:a_bad_day")
    assert (states["audit"], states["publish"]) == ("failed", "upstream_failed")
    assert {states[step] for step in TASKS[:-2]} == {"success"}
    log = backfilled.log("by_hand:a_bad_day", "audit")
    assert f"pipeline.jobs audit --day {day} --run-id by_hand-a_bad_day" in log
    assert f"figures of all rules: {backfilled.installation.home}/data_docs/{day}.html" in log
    assert "throughline: line_accounting: 1 broken of 3 rules; nothing was published" in log
    assert "the collector or the TOML changed" in log
    assert "alert: {'what': 'task failed'" in log
    assert backfilled.installation.ask("SELECT max(published_at) AS newest FROM releases") == release


def test_people_are_erased_by_a_form_and_nothing_of_airflow_names_them(backfilled: Airflow, shop: Any) -> None:
    """Neither its database nor its logs, nor what is left of the Spark engine."""
    home, settings = backfilled.installation.home, backfilled.installation.settings()
    people = list(shop.truth())[:3]
    pseudonyms = backfilled.installation.do("pseudonym", *people).split()
    among = ", ".join(f"'{one}'" for one in pseudonyms)
    profiles = f"(SELECT count(*) FROM profiles WHERE user_id IN ({among})) AS profiles"
    rows = f"SELECT session_id, {profiles} FROM sessions WHERE user_id IN ({among})"
    before = backfilled.installation.ask(rows)
    assert before[0]["profiles"] > 0
    request = home / "requests" / "autumn-of-2026"
    request.parent.mkdir()
    request.touch(mode=0o600)
    request.write_text("\n".join(people) + "\n")
    backfilled.api.unpause("interest_erasure")
    by_hand = {
        "dag_run_id": "by_hand:erasure",
        "logical_date": None,
        "conf": {"request": request.name, "dry_run": False},
    }
    backfilled.api.request("POST", "/api/v2/dags/interest_erasure/dagRuns", by_hand)
    wait_until(lambda: backfilled.api.run_state("interest_erasure", "by_hand:erasure") in ("success", "failed"), 300, 1)
    assert backfilled.api.run_state("interest_erasure", "by_hand:erasure") == "success"
    assert backfilled.installation.ask(rows) == []
    words = [*people, *pseudonyms, *(row["session_id"] for row in before)]
    assert places_of(home, postgres.url(settings), [*words, request.name]) == {request.name: {"postgres", "logs"}}
    [receipt] = (home / "erasures").glob("*.json")
    assert not any(json.loads(receipt.read_text())["searched"].values())
    assert not request.exists() and not (home / "engine").exists()


def test_retention_runs_each_day_by_the_settings(backfilled: Airflow, shop: Any) -> None:
    """Unpausing the DAG starts the run of yesterday evening."""
    days = "SELECT min(arrival_day) AS first, max(arrival_day) AS last FROM rejects"
    [before] = backfilled.installation.ask(days)
    assert before["first"] < str(shop.empty_day) < before["last"] == str(shop.last)
    (backfilled.installation.home / "settings.toml").write_text("keep_rejects_days = 2\n")
    backfilled.api.unpause("interest_retention")

    def runs() -> list[dict[str, Any]]:
        found = backfilled.api.request("GET", "/api/v2/dags/interest_retention/dagRuns")
        return list(found["dag_runs"])

    wait_until(lambda: runs() and runs()[0]["state"] in ("success", "failed"), 300, 1)
    assert [(run["run_type"], run["state"]) for run in runs()] == [("scheduled", "success")]
    assert backfilled.installation.ask(days) == [{"first": str(shop.last), "last": str(shop.last)}]


def test_records_of_old_runs_are_deleted_from_airflows_database(airflow: Airflow) -> None:
    """The newest run of each DAG stays, and so do those of the last days."""
    settings = airflow.installation.settings()
    with psycopg.connect(postgres.url(settings, DATABASE), autocommit=True) as connection:
        connection.execute("INSERT INTO log (dttm, event) VALUES (now() - INTERVAL '31 days', 'of an old run')")
        [runs] = connection.execute("SELECT count(*) FROM dag_run").fetchone() or [None]
        printed = tidy_databases(settings)
        assert "Airflow's records before " in printed and "catalog, airflow vacuumed" in printed
        assert connection.execute("SELECT * FROM log WHERE event = 'of an old run'").fetchall() == []
        assert connection.execute("SELECT count(*) FROM dag_run").fetchone() == (runs,) != (0,)


def test_down_leaves_no_process(backfilled: Airflow) -> None:
    home = str(backfilled.installation.home)
    assert "stopped Airflow, the Spark engine, PostgreSQL" in backfilled.installation.do("down")
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("THROUGHLINE_HOME") == home
    ]
    assert left == []
    assert "nothing was running" in backfilled.installation.do("down")
