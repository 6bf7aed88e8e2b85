"""Start Airflow where it already runs."""

import os
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pipeline.local import airflow
from pipeline.local.processes import stop
from pipeline.settings import Settings
from tests.waiting import wait_until


def test_start_waits_until_a_running_airflow_is_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unhealthy = iter([["scheduler"], []])  # a heartbeat is late at first
    monkeypatch.setattr(airflow.Background, "find", lambda _: psutil.Process(os.getpid()))
    monkeypatch.setattr(airflow, "unhealthy_parts", lambda _: next(unhealthy))
    assert airflow.start_airflow(Settings(home=tmp_path), Console(quiet=True)) is False
    assert list(unhealthy) == []


def test_start_ends_the_workers_of_a_killed_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, program = Settings(home=tmp_path), tmp_path / "airflow-program"
    program.write_text("#!/bin/sh\nsleep 600 &\nsleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr(airflow, "COMPONENTS", {"api-server": (), "scheduler": ()})
    monkeypatch.setattr(airflow, "airflow_program", lambda: program)
    monkeypatch.setattr(airflow.configuration, "airflow_environment", lambda _: os.environ)
    monkeypatch.setattr(airflow, "unhealthy_parts", lambda _: [])
    server, scheduler = airflow._backgrounds(settings)
    for background in (server, scheduler):
        background.start([str(program)], os.environ)
    killed = scheduler.family()[0]
    wait_until(lambda: len(killed.children()) == 2, 30, every=0.05)
    workers = killed.children()
    try:
        killed.kill()
        killed.wait()
        assert airflow.start_airflow(settings, Console(quiet=True)) is True
        psutil.wait_procs(workers, timeout=10)
        assert not any(worker.is_running() for worker in workers)
        assert server.find() and scheduler.find() not in (None, killed)
    finally:
        stop([server, scheduler])
