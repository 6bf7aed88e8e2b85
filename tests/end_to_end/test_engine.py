"""The warm engine: one Spark Connect server per home, its limits, and equal tables by each way to run Spark.

The tests share one home, and each begins where the one before ended.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.demo.plan import DemoPlan
from pipeline.demo.write import write_demo_log
from pipeline.local.processes import Background
from tests.bench.spark_times import executions

pytestmark = pytest.mark.end_to_end

PLAN = DemoPlan(users=500, days=8)
THROUGHLINE = Path(sys.executable).parent / "throughline"


@pytest.fixture(scope="module")
def home(installation_with_engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home with a published history."""
    folder = tmp_path_factory.mktemp("log")
    write_demo_log(folder, PLAN)
    installation_with_engine.do("land", "--source", "demo", folder)
    installation_with_engine.do("run", "--from", str(PLAN.first_day), "--to", str(PLAN.last_day))
    return installation_with_engine


@pytest.fixture
def engine(home: Any) -> psutil.Process:
    """The process of the engine."""
    return find(home)


def find(home: Any) -> psutil.Process:
    process = Background("engine", home.home / "engine" / "server.json", home.home / "logs" / "engine.log").find()
    assert process, "no engine runs"
    return process


@pytest.fixture(scope="module")
def fingerprints(home: Any) -> dict[str, str]:
    return dict(home.fingerprints())


def test_all_steps_of_a_home_share_one_engine(home: Any, engine: psutil.Process, fingerprints: dict[str, str]) -> None:
    home.do("run", "--day", str(PLAN.last_day))
    assert find(home) == engine
    assert home.fingerprints() == fingerprints


def test_it_listens_on_loopback_only(engine: psutil.Process) -> None:
    listening = {one.laddr.ip for one in engine.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    assert listening and listening <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_its_token_is_in_no_command_line_and_in_no_log(home: Any, engine: psutil.Process) -> None:
    record = home.home / "engine" / "engine.json"
    token = json.loads(record.read_text())["token"]
    assert record.stat().st_mode & 0o777 == 0o600
    assert token not in " ".join(engine.cmdline())
    logs = [file.read_text(errors="replace") for file in (home.home / "logs").rglob("*.log")]
    assert logs and not any(token in log for log in logs)


def test_spark_submit_gives_the_same_tables_with_few_executions(
    home: Any, fingerprints: dict[str, str], tmp_path: Path
) -> None:
    """Executions that compute something: each costs a tenth of a second on a small night, and as much again cold."""
    event_log = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{tmp_path}",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
    }
    options = json.dumps({**json.loads(home.environment["THROUGHLINE_SPARK_OPTIONS"]), **event_log})
    done = home.call(
        "run", "--day", str(PLAN.last_day), THROUGHLINE_SPARK_ENGINE="submit", THROUGHLINE_SPARK_OPTIONS=options
    )
    assert done.returncode == 0, done.stderr
    assert home.fingerprints() == fingerprints
    computed = [one.name for log in tmp_path.iterdir() for one in executions(log) if one.tasks]
    assert len(computed) <= 59, computed


def killed_after(seconds: float, home: Any) -> None:
    """Begin to run the last day, and kill the command after a while."""
    command = [str(THROUGHLINE), "run", "--day", str(PLAN.last_day)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=home.environment, stdin=quiet, stdout=quiet, stderr=quiet)
    time.sleep(seconds)
    process.kill()
    process.wait()


def test_a_run_repeats_after_its_client_was_killed(
    home: Any, engine: psutil.Process, fingerprints: dict[str, str]
) -> None:
    killed_after(6.0, home)
    home.do("run", "--day", str(PLAN.last_day))
    assert find(home) == engine, "the engine goes on"
    assert home.fingerprints() == fingerprints
    sessions = home.home / "engine" / "sessions"
    assert [file.name for file in sessions.iterdir()] == [], "no session is left"


def test_a_run_repeats_after_the_engine_was_killed(
    home: Any, engine: psutil.Process, fingerprints: dict[str, str]
) -> None:
    command = [str(THROUGHLINE), "run", "--day", str(PLAN.last_day)]
    process = subprocess.Popen(command, env=home.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(6)
    engine.kill()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 3, errors
    assert "the Spark engine ended while" in errors and "run the command again" in errors
    home.do("run", "--day", str(PLAN.last_day))
    assert find(home) != engine, "another engine was started"
    scratch = [file.name for file in (home.home / "engine" / "scratch").glob("blockmgr-*")]
    assert len(scratch) == 1, "the scratch files of the killed engine are gone"
    assert home.fingerprints() == fingerprints


def test_another_configuration_starts_another_engine(home: Any, engine: psutil.Process) -> None:
    done = home.call("sequences", "--day", str(PLAN.last_day), THROUGHLINE_SPARK_DRIVER_MEMORY="2g")
    assert done.returncode == 0, done.stderr
    assert find(home) != engine
    assert not engine.is_running()


def test_the_watcher_stops_the_engine_of_a_home_that_is_gone(home: Any, engine: psutil.Process) -> None:
    watcher = Background("watcher", home.home / "engine" / "watcher.json", home.home / "logs" / "none.log").find()
    assert watcher
    (home.home / "engine" / "engine.json").unlink()
    psutil.wait_procs([engine, watcher], timeout=60)
    assert not engine.is_running() and not watcher.is_running()
