"""Start Airflow where it already runs."""

import os
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pipeline.local import airflow
from pipeline.settings import Settings


def test_start_waits_until_a_running_airflow_is_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unhealthy = iter([["scheduler"], []])  # a heartbeat is late at first
    monkeypatch.setattr(airflow.Background, "find", lambda _: psutil.Process(os.getpid()))
    monkeypatch.setattr(airflow, "unhealthy_parts", lambda _: next(unhealthy))
    assert airflow.start_airflow(Settings(home=tmp_path), Console(quiet=True)) is False
    assert list(unhealthy) == []
