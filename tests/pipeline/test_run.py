"""What the terminal does before the first step, open the lease, and after the last, delete scratch."""

import io
import sys
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from rich.console import Console

from pipeline.errors import UsageError
from pipeline.runner import run
from pipeline.runner.commands import CommandLine
from pipeline.runner.process import StepFailed
from pipeline.settings import Settings
from pipeline.warehouse import lease
from pipeline.warehouse.lease import Lease
from pipeline.warehouse.names import require_run_id

REST = {"type": "rest", "uri": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("values", "is_started"),
    [
        ({}, True),
        ({"lease_url": "postgresql://elsewhere/db"}, True),  # the catalog is in the local PostgreSQL
        ({"catalog": REST}, True),  # the lease is in the local PostgreSQL
        ({"catalog": REST, "lease_url": "postgresql://elsewhere/db"}, False),
    ],
)
def test_the_local_postgres_starts_where_a_run_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], is_started: bool
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr(lease.postgres, "start", started.append)
    monkeypatch.setattr(lease, "Lease", MagicMock())
    settings = Settings(home=tmp_path, **values)
    with lease.lease_held(settings, "a_run", date(2026, 1, 31)):
        assert started == ([settings] if is_started else [])


def test_a_lease_without_a_server_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no local PostgreSQL in .*set THROUGHLINE_LEASE_URL"):
        Lease(Settings(home=tmp_path, catalog=REST), "a_run", date(2026, 1, 31))


@pytest.mark.parametrize("run_id", ["", ".", "..", "...", "a/b", "a b"])
def test_a_run_id_that_names_no_folder_of_its_own_is_refused(run_id: str) -> None:
    with pytest.raises(UsageError, match="expected letters, digits and _"):
        require_run_id(run_id)


def test_what_killed_processes_left_in_the_scratch_folder_goes_when_commands_have_ended(tmp_path: Path) -> None:
    left = tmp_path / "scratch" / "4711-abcd"
    left.mkdir(parents=True)
    left.with_suffix(".lock").touch()
    command = CommandLine("failing", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(StepFailed):
        run.run_all([command], Settings(home=tmp_path), Console(file=io.StringIO()), "x")
    assert list((tmp_path / "scratch").iterdir()) == []
