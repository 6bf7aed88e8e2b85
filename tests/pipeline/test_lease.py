"""One run writes at a time: the lease in a real PostgreSQL, held by one of two runs."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ThroughlineError
from pipeline.files import write_whole
from pipeline.landing.locks import source_locked
from pipeline.landing.zone import LandingZone
from pipeline.local import postgres
from pipeline.local.processes import has_ended, process_token
from pipeline.settings import Settings
from pipeline.warehouse.lease import Lease, with_token

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """Settings of a home with a running PostgreSQL; a run waits one second for another one.

    The home is not among pytest's folders: another run of pytest would shut those to the account of PostgreSQL.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with TemporaryDirectory(prefix="throughline-tests-", ignore_cleanup_errors=True) as folder:
        made = Settings(home=Path(folder) / "throughline", postgres_port=port, lease_wait_seconds=1)
        postgres.start(made)
        yield made
        postgres.stop(made)


def test_another_run_waits_and_prints_the_holder(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    monday, tuesday = Lease(settings, "run_of_monday", MONDAY), Lease(settings, "run_of_tuesday", TUESDAY)
    monday.take()
    with pytest.raises(ThroughlineError, match="still leased to run run_of_monday of 2026-01-05"):
        tuesday.take(poll_seconds=0.2)
    assert capsys.readouterr().out.startswith("waiting for run run_of_monday of 2026-01-05")
    monday.free()
    tuesday.take()
    tuesday.free()


def test_a_lease_that_another_run_holds_is_not_freed(settings: Settings) -> None:
    """A run that failed while it waited frees only its own lease, which it does not hold."""
    monday, tuesday = Lease(settings, "run_of_monday", MONDAY), Lease(settings, "run_of_tuesday", TUESDAY)
    monday.take()
    tuesday.free()
    holder = tuesday.try_take()
    assert holder and (holder.run_id, holder.day) == ("run_of_monday", MONDAY)
    monday.require_held()
    monday.free()
    assert tuesday.try_take() is None
    tuesday.free()


def test_the_next_step_of_a_run_keeps_its_lease(settings: Settings) -> None:
    Lease(settings, "run_of_monday", MONDAY).take()
    next_step = Lease(settings, "run_of_monday", MONDAY)
    next_step.take()
    next_step.require_held()
    next_step.free()


def test_a_silent_lease_is_taken_over_and_its_run_gets_an_error(settings: Settings) -> None:
    impatient = settings.model_copy(update={"lease_silence_seconds": 1})
    dead, living = Lease(impatient, "dead_run", MONDAY), Lease(impatient, "living_run", TUESDAY)
    dead.take()
    time.sleep(1.2)
    living.take()
    with pytest.raises(ThroughlineError, match="run dead_run lost the warehouse lease"):
        dead.require_held()
    living.free()


def step_of_the_clock(settings: Settings, by: str, machine: str | None = None) -> None:
    """Let the heartbeat be what it is after the server's clock was set forward or back; also let it be of a machine."""
    with psycopg.connect(postgres.url(settings), autocommit=True) as connection:
        connection.execute("UPDATE throughline_lease SET heartbeat_at = heartbeat_at - %s::interval", [by])
        if machine:
            connection.execute("UPDATE throughline_lease SET machine = %s", [machine])


@pytest.mark.parametrize("by", ["3 days", "-3 days"], ids=["forward", "back"])
def test_a_step_of_the_clock_makes_no_lease_silent_and_keeps_none(settings: Settings, by: str) -> None:
    impatient = settings.model_copy(update={"lease_silence_seconds": 1})
    dead, living = Lease(impatient, "dead_run", MONDAY), Lease(impatient, "living_run", TUESDAY)
    dead.take()
    step_of_the_clock(settings, by)
    holder = living.try_take()
    assert holder and holder.run_id == "dead_run" and holder.silent_seconds < 1
    time.sleep(1.2)
    assert living.try_take() is None
    living.free()


@pytest.mark.parametrize("by", ["3 days", "-3 days"], ids=["silent for days", "of a clock that was set back"])
def test_the_silence_of_another_machine_is_measured_by_the_server(settings: Settings, by: str) -> None:
    dead, living = Lease(settings, "dead_run", MONDAY), Lease(settings, "living_run", TUESDAY)
    dead.take()
    step_of_the_clock(settings, "0 days", machine="another")
    assert living.try_take()
    step_of_the_clock(settings, by)
    assert living.try_take() is None
    living.free()


def test_a_renewed_lease_is_not_silent(settings: Settings) -> None:
    impatient = settings.model_copy(update={"lease_silence_seconds": 1})
    working, waiting = Lease(impatient, "working_run", MONDAY), Lease(impatient, "waiting_run", TUESDAY)
    working.take()
    with working.renewed(every_seconds=0.2):
        time.sleep(1.5)
        with pytest.raises(ThroughlineError, match="still leased to run working_run"):
            waiting.take(poll_seconds=0.2)
    working.free()


COMMAND = """
import sys, time
from datetime import date
from pipeline.settings import Settings
from pipeline.warehouse.lease import Lease, with_token
with with_token():
    Lease(Settings(home=sys.argv[1], postgres_port=int(sys.argv[2])), sys.argv[3], date(2026, 1, 5)).take()
    print("taken", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_command(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A command of the terminal that has taken the lease as `same_run`."""
    words = [sys.executable, "-c", COMMAND, str(settings.home), str(settings.postgres_port), "same_run"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "taken\n"
            yield process
        finally:
            process.kill()


def test_two_commands_with_one_run_id_exclude_each_other(
    settings: Settings, other_command: subprocess.Popen[str]
) -> None:
    with with_token():
        mine = Lease(settings, "same_run", MONDAY)
    for second in (mine, Lease(settings, "same_run", MONDAY)):
        with pytest.raises(ThroughlineError, match="still leased to run same_run"):
            second.take(poll_seconds=0.2)
        with pytest.raises(ThroughlineError, match="lost the warehouse lease"):
            second.require_held()
        second.free()  # it holds none, so that of the other command stays
    assert mine.try_take()


@pytest.mark.parametrize("run_id", ["same_run", "another_run"])
def test_the_lease_of_a_dead_command_of_this_machine_is_taken_at_once(
    settings: Settings, other_command: subprocess.Popen[str], run_id: str
) -> None:
    other_command.kill()
    other_command.wait()
    with with_token():
        next_one = Lease(settings, run_id, TUESDAY)
        assert next_one.try_take() is None
        step = Lease(settings, run_id, TUESDAY)  # a step of this command
        assert step.try_take() is None
    next_one.free()


def test_the_lease_of_another_machine_is_never_taken_early() -> None:
    token = process_token()
    assert not has_ended(token) and not has_ended("") and not has_ended(f"other {token}")
    assert has_ended(re.sub(r" \d+ ([\d.]+ \w+)$", r" 4194303 \1", token))


def test_a_table_of_an_earlier_version_gets_the_token(settings: Settings) -> None:
    with psycopg.connect(postgres.url(settings), autocommit=True) as connection:
        connection.execute("DROP TABLE throughline_lease")
        connection.execute(
            "CREATE TABLE throughline_lease (only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row), "
            "run_id TEXT NOT NULL, day DATE NOT NULL, heartbeat_at TIMESTAMPTZ NOT NULL)"
        )
        connection.execute("INSERT INTO throughline_lease VALUES (true, 'kept', '2026-01-05', now())")
    with with_token():
        kept = Lease(settings, "kept", MONDAY)
    holder = Lease(settings, "other", TUESDAY).try_take()
    assert holder and holder.run_id == "kept"
    assert kept.try_take() is None
    kept.free()


START = """
import sys
from pathlib import Path
from pipeline.local import postgres
from pipeline.settings import Settings
postgres.start(Settings(home=Path(sys.argv[1]), postgres_port=int(sys.argv[2])))
"""


def test_two_first_commands_start_one_postgres() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with TemporaryDirectory(prefix="throughline-tests-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "throughline"
        words = [sys.executable, "-c", START, str(home), str(port)]
        both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        try:
            found = [(process.communicate(timeout=120)[1], process.returncode) for process in both]
        finally:
            postgres.stop(Settings(home=home, postgres_port=port))
        assert [code for _, code in found] == [0, 0], found


DAY_AND_BACKUP = """
import sys
from functools import partialmethod
from pathlib import Path
from pipeline import cli_source
from pipeline.backup.make import back_up
from pipeline.settings import Settings
from pipeline.terminal import open_console
from pipeline.warehouse.lease import Lease

home, port, what, folder = sys.argv[1:]
settings = Settings(home=home, postgres_port=int(port), lease_wait_seconds=60, lease_silence_seconds=2)
Lease.renewed = partialmethod(Lease.renewed, 0.2)
cli_source.prepare_environment = lambda console: settings
if what == "backup":
    back_up(settings, Path(folder), open_console())
else:
    cli_source.move("web", "2026-01-05", "2026-01-06")
print("done", flush=True)
"""


@pytest.mark.parametrize("first", ["backup", "landed_web"])
def test_a_backup_and_a_move_of_a_landed_day_wait_for_each_other_and_for_a_landing(
    settings: Settings, tmp_path: Path, first: str
) -> None:
    """The first has the lease and waits for a landing, longer than a silent lease lasts; the second waits for it."""
    zone = LandingZone(settings.landing_folder)
    shutil.rmtree(zone.root, ignore_errors=True)
    write_whole(zone.root / "web" / "source.toml", "")
    zone.day_folder("web", MONDAY).mkdir()
    pq.write_table(pa.table({"text": ["a", "b"]}), zone.day_folder("web", MONDAY) / "1.parquet")
    zone.close_day("web", MONDAY)
    second = {"backup": "landed_web", "landed_web": "backup"}[first]
    words = [sys.executable, "-c", DAY_AND_BACKUP, str(settings.home), str(settings.postgres_port)]
    with ExitStack() as processes:

        def start(what: str) -> subprocess.Popen[str]:
            command = [*words, what, str(tmp_path / "backup")]
            process = processes.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            processes.callback(process.kill)
            return process

        def printed(process: subprocess.Popen[str]) -> str:
            assert process.stdout
            return process.stdout.readline()

        with source_locked(settings, "web"):
            earlier = start(first)
            assert printed(earlier).startswith("waiting for another process to end landing files")
            later = start(second)
            assert printed(later).startswith(f"waiting for run {first} of ")
            time.sleep(2.5)
            holder = Lease(settings.model_copy(update={"lease_silence_seconds": 2}), "third", MONDAY).try_take()
            assert holder and holder.run_id == first
        assert [process.communicate(timeout=60)[0].splitlines()[-1] for process in (earlier, later)] == ["done"] * 2
    copied = LandingZone(tmp_path / "backup" / "landing")
    found = [{day: landed.lines for day, landed in one.days("web").items()} for one in (copied, zone)]
    after = {MONDAY: 0, TUESDAY: 2}
    assert found == [{MONDAY: 2} if first == "backup" else after, after]
