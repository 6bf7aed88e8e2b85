"""The engine's watcher and its record of sessions, with a sleeping process in place of Spark."""

import json
import os
import shutil
import sys
from pathlib import Path
from threading import Timer

import psutil
import pytest
from pyspark.errors.exceptions.connect import UnknownException

from pipeline.errors import ThroughlineError
from pipeline.local import engine
from pipeline.local.processes import Background
from pipeline.local.scratch import engine_scratch
from pipeline.settings import Settings
from pipeline.warehouse import session


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def server(settings: Settings) -> psutil.Process:
    """A process that the engine's records name."""
    folder = settings.home / "engine"
    background = Background("engine", folder / "server.json", settings.home / "logs" / "engine.log")
    background.start([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
    (folder / "engine.json").write_text(json.dumps({"port": 1, "token": "t", "fingerprint": "f"}))
    found = background.find()
    assert found
    return found


def test_the_watcher_stops_an_idle_engine(settings: Settings, server: psutil.Process) -> None:
    assert engine.find_engine(settings)
    engine.watch(settings, idle_seconds=0)
    psutil.wait_procs([server], timeout=20)
    assert engine.find_engine(settings) is None


def test_the_watcher_stops_an_engine_whose_home_is_deleted(
    settings: Settings, server: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records and all: it once went on for ever."""
    monkeypatch.setattr(engine, "POLL_SECONDS", 0.05)
    Timer(0.3, shutil.rmtree, (settings.home / "engine",)).start()
    engine.watch(settings)
    _, alive = psutil.wait_procs([server], timeout=20)
    assert alive == []


def test_the_watcher_deletes_the_scratch_of_an_engine_that_was_killed(
    settings: Settings, server: psutil.Process
) -> None:
    scratch = engine_scratch(settings)
    scratch.mkdir()
    (scratch / "rows").write_text("u-1")
    server.kill()
    engine.watch(settings)
    assert not scratch.exists()


def test_only_sessions_of_ended_processes_are_dead(settings: Settings, server: psutil.Process) -> None:
    engine.register_session(settings, "of this process")
    of_server = {"pid": server.pid, "began_at": server.create_time()}
    (settings.home / "engine" / "sessions" / "of the server").write_text(json.dumps(of_server))
    assert engine.dead_sessions(settings) == []
    server.kill()
    psutil.wait_procs([server], timeout=20)
    assert engine.dead_sessions(settings) == ["of the server"]
    engine.forget_session(settings, "of this process")
    assert not (settings.home / "engine" / "sessions" / "of this process").exists()


@pytest.mark.parametrize("ends", [True, False])
def test_an_engine_that_ends_soon_is_named_whatever_it_answers(
    ends: bool, settings: Settings, server: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After SIGTERM, an engine answered the next step with a Java error for a second."""

    def answer(*_: object) -> None:
        if ends:
            Timer(0.5, server.kill).start()
        raise UnknownException(message="(java.lang.AssertionError) assertion failed")

    monkeypatch.setattr(engine, "start_engine", lambda *_: engine.find_engine(settings))
    monkeypatch.setattr(session, "catalog_options", lambda settings: {})
    monkeypatch.setattr(session, "_connect_warm", answer)
    monkeypatch.setattr(session, "ENDING_SECONDS", 20.0 if ends else 0.5)
    words = "the Spark engine ended while clean worked on it" if ends else "assertion failed"
    with (
        pytest.raises(ThroughlineError if ends else UnknownException, match=words),
        session.open_session(settings, "clean"),
    ):
        pass


def test_an_engine_is_stopped_with_its_files_only_if_no_client_works_on_it(
    settings: Settings, server: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = settings.home / "engine" / "scratch" / "blockmgr" / "shuffle.data"
    scratch.parent.mkdir(parents=True)
    scratch.touch()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_clients", lambda settings: 1)
        assert not engine.stop_if_unused(settings) and scratch.is_file()
    assert engine.stop_if_unused(settings) and not scratch.exists() and not server.is_running()
    assert not engine.stop_if_unused(settings)


def test_homes_share_the_engine_of_another(settings: Settings, server: psutil.Process, tmp_path: Path) -> None:
    sharing = Settings(home=tmp_path / "other", engine_home=settings.home)
    assert engine.find_engine(sharing) == engine.find_engine(settings) is not None
    engine.register_session(sharing, "of the other home")
    assert (settings.home / "engine" / "sessions" / "of the other home").is_file()
    assert not engine.stop_engine(sharing) and server.is_running(), "`down` in one home leaves it to the others"
    assert engine.stop_engine(settings) and not server.is_running()


def test_an_engine_serves_catalogs_with_the_same_names_of_options(tmp_path: Path) -> None:
    def fingerprint(**catalog: str) -> str:
        return engine._fingerprint(Settings(home=tmp_path, catalog={"type": "rest", **catalog}), {})

    assert fingerprint(uri="http://one:1") == fingerprint(uri="http://two:2")
    assert fingerprint(uri="http://one:1") != fingerprint(uri="http://one:1", prefix="p")
