"""The warm engine: one Spark Connect server per home, its limits, and equal tables by each way to run Spark.

The tests share one home, and each begins where the one before ended.
"""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.demo.plan import DemoPlan
from pipeline.demo.write import write_demo_log
from pipeline.local.processes import Background
from tests.bench.chaos.breaking import break_at
from tests.bench.chaos.home import ChaosHome
from tests.bench.chaos.points import SHORT, Point
from tests.bench.spark_times import executions

pytestmark = pytest.mark.end_to_end

PLAN = DemoPlan(users=500, days=8)


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


def test_its_temporary_files_lie_in_the_home(home: Any, engine: psutil.Process) -> None:
    scratch = home.home / "engine" / "scratch"
    assert any(one.name.startswith("blockmgr-") for one in scratch.iterdir())
    assert scratch.stat().st_mode & 0o777 == 0o700
    opened = [file.path for file in engine.open_files()]
    assert [path for path in opened if path.startswith("/tmp") and not path.startswith(str(home.home))] == []


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
    assert len(computed) <= 51, computed


@pytest.mark.parametrize("point", SHORT, ids=str)
def test_the_same_command_gives_the_same_tables_after(point: Point, home: Any, fingerprints: dict[str, str]) -> None:
    """The short form of `make chaos`. Two readers see the release before or the one after, and nothing is left."""
    night, before = ["run", "--day", str(PLAN.last_day)], find(home)
    outcome = break_at(point, ChaosHome(home.home, home.environment), night, fingerprints)
    assert outcome.faults == []
    assert outcome.polls > 0
    assert (find(home) != before) == (point.ended == "engine"), "an engine that was not killed goes on"
    scratch = [file.name for file in (home.home / "engine" / "scratch").glob("blockmgr-*")]
    assert len(scratch) == 1, "the scratch files of a killed engine are gone"


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
