"""The warm engine: one Spark Connect server per home, its limits, and equal tables by each way to run Spark.

The tests share one home, and each begins where the one before ended.
"""

import json
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.days import DayRange
from pipeline.local.processes import Background
from pipeline.runner.commands import STEPS, step_commands, step_environment
from pipeline.settings import ROOT
from tests.bench.chaos.breaking import break_at
from tests.bench.chaos.home import ChaosHome
from tests.bench.chaos.points import SHORT, Point
from tests.bench.spark_times import executions
from tests.bench.tiny_log import days_from, lines_of, write_lines
from tests.commands import TIMEOUT_SECONDS
from tests.end_to_end.conftest import THROUGHLINE

pytestmark = pytest.mark.end_to_end

DAYS = days_from(date(2026, 1, 5), 3)


def write_log(folder: Path) -> None:
    """Write a file per day: people, and each day a copy, a bot and a broken line."""
    for day in DAYS:
        people = lines_of(day, users=40)
        bot = {**people[0], "id": f"bot-{day}", "user": "u-bot", "ua": "Googlebot/2.1"}
        file = write_lines(folder / f"events-{day}.jsonl", [*people, people[0], bot])
        with file.open("a") as log:
            log.write('{"id": "broken\n')


@pytest.fixture(scope="module")
def home(installation_with_engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home with a published history."""
    folder = tmp_path_factory.mktemp("log")
    write_log(folder)
    installation_with_engine.do("land", "--source", "demo", folder)
    installation_with_engine.do("run", "--from", str(DAYS[0]), "--to", str(DAYS[-1]))
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
    """One step by a process of its own, as all are in production; the others share one, which saves starts of Java.

    Executions that compute something: each costs a tenth of a second on a small night, and as much again cold.
    """
    event_log = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{tmp_path}",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
    }
    day = str(DAYS[-1])
    options = json.dumps({**json.loads(home.environment["THROUGHLINE_SPARK_OPTIONS"]), **event_log})
    submit = replace(
        home,
        environment={**home.environment, "THROUGHLINE_SPARK_ENGINE": "submit", "THROUGHLINE_SPARK_OPTIONS": options},
    )
    first, *others = STEPS
    submit.do(first, "--day", day)
    commands = [command for step in others for command in step_commands(step, DayRange(DAYS[-1], DAYS[-1]))]
    jobs = json.dumps([[command.module, command.words] for command in commands])
    done = subprocess.run(
        [THROUGHLINE.with_name("spark-submit"), ROOT / "tests" / "end_to_end" / "jobs.py", jobs],
        env={**submit.environment, **step_environment(submit.settings())},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert home.fingerprints() == fingerprints
    computed = [one.name for log in tmp_path.iterdir() for one in executions(log) if one.tasks]
    assert len([*tmp_path.iterdir()]) == 2 and len(computed) <= 49, computed


@pytest.mark.parametrize("point", SHORT, ids=str)
def test_the_same_command_gives_the_same_tables_after(point: Point, home: Any, fingerprints: dict[str, str]) -> None:
    """The short form of `make chaos`. Two readers see the release before or the one after, and nothing is left."""
    night, before = ["run", "--day", str(DAYS[-1])], find(home)
    outcome = break_at(point, ChaosHome(home.home, home.environment), night, fingerprints)
    assert outcome.faults == []
    assert outcome.polls > 0
    assert (find(home) != before) == (point.ended == "engine"), "an engine that was not killed goes on"
    scratch = [file.name for file in (home.home / "engine" / "scratch").glob("blockmgr-*")]
    assert len(scratch) == 1, "the scratch files of a killed engine are gone"


def test_another_configuration_starts_another_engine(home: Any, engine: psutil.Process) -> None:
    done = home.call("sequences", "--day", str(DAYS[-1]), THROUGHLINE_SPARK_DRIVER_MEMORY="2g")
    assert done.returncode == 0, done.stderr
    assert find(home) != engine
    assert not engine.is_running()


def test_the_watcher_stops_the_engine_of_a_home_that_is_gone(home: Any, engine: psutil.Process) -> None:
    watcher = Background("watcher", home.home / "engine" / "watcher.json", home.home / "logs" / "none.log").find()
    assert watcher
    (home.home / "engine" / "engine.json").unlink()
    psutil.wait_procs([engine, watcher], timeout=60)
    assert not engine.is_running() and not watcher.is_running()
