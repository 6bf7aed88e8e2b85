"""`doctor`: what it says of jars."""

from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local.doctor import examine
from pipeline.local.spark_config import JARS
from pipeline.settings import load_settings


def told(home: Path) -> str:
    console = Console(width=400)
    with console.capture() as captured:
        examine(load_settings(home=home), console)
    return captured.get()


def test_jars_of_another_version_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    folder = tmp_path / "jars" / "jars"
    folder.mkdir(parents=True)
    (folder / "org.postgresql_postgresql-1.0.jar").touch()
    assert f"not there yet in the versions of {', '.join(JARS)}" in told(tmp_path)
    for group, name, version in (one.split(":") for one in JARS):
        (folder / f"{group}_{name}-{version}.jar").touch()
    assert f"org.postgresql_postgresql-42.7.7 in {folder}" in told(tmp_path)
