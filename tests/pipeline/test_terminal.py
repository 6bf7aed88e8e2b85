"""What the terminal does before the first step."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local.spark_config import class_archive
from pipeline.runner import run
from pipeline.runner.process import StepFailed
from pipeline.settings import Settings


def test_classes_that_cannot_be_kept_are_a_warning_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jars").mkdir()
    settings = Settings(home=tmp_path, catalog={"type": "rest", "uri": "http://127.0.0.1:1"}, spark_master="local[2]")
    monkeypatch.setattr(run, "load_settings", lambda: settings)
    monkeypatch.setattr(run, "run_preflight", lambda _: None)
    monkeypatch.setattr(run, "fetched_jars", lambda _: [tmp_path / "spark.jar"])
    ran: list[str] = []

    def fail(commands, *_):
        ran.extend(command.label for command in commands)
        raise StepFailed(1, "no base archive")

    monkeypatch.setattr(run, "run_all", fail)
    said = io.StringIO()
    for _ in range(2):
        run.prepare_environment(Console(file=said, width=200))
    assert ran == ["classes"]
    assert said.getvalue().count("no base archive") == 1 and "rm " in said.getvalue()
    assert class_archive(settings).stat().st_size == 0
