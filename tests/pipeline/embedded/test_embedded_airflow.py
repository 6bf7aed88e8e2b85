"""Starting Airflow where it runs already."""

import os
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pipeline.local import airflow
from pipeline.settings import Settings


def test_a_busy_airflow_that_runs_is_waited_for_and_is_up_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter([["scheduler"], []])  # a heartbeat came late, then it was there
    monkeypatch.setattr(airflow.Background, "find", lambda _: psutil.Process(os.getpid()))
    monkeypatch.setattr(airflow, "_unwell", lambda _: next(told))
    assert airflow.start_airflow(Settings(home=tmp_path), Console(quiet=True)) is False
    assert list(told) == [], "it waited until all was well"
