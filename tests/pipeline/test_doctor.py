"""What `throughline doctor` prints about jars and the lease."""

from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local.doctor import run_checks
from pipeline.local.spark_config import JARS
from pipeline.settings import load_settings


def printed_by_doctor(home: Path) -> str:
    console = Console(width=400)
    with console.capture() as captured:
        run_checks(load_settings(home=home), console)
    return captured.get()


def test_jars_of_another_version_count_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    folder = tmp_path / "jars" / "jars"
    folder.mkdir(parents=True)
    (folder / "org.postgresql_postgresql-1.0.jar").touch()
    assert f"{', '.join(JARS)} not fetched yet" in printed_by_doctor(tmp_path)
    for group, name, version in (one.split(":") for one in JARS):
        (folder / f"{group}_{name}-{version}.jar").touch()
    assert f"org.postgresql_postgresql-42.7.7 in {folder}" in printed_by_doctor(tmp_path)


def test_a_remote_catalog_without_lease_url_has_a_lease_of_this_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THROUGHLINE_CATALOG", '{"type": "rest", "uri": "http://127.0.0.1:8181"}')
    printed = printed_by_doctor(tmp_path)
    assert "rest at http://127.0.0.1:8181" in printed
    assert "local PostgreSQL, down" in printed and "excludes runs of this home only: set lease_url" in printed
    monkeypatch.setenv("THROUGHLINE_LEASE_URL", "postgresql://user:secret@db/lease")
    printed = printed_by_doctor(tmp_path)
    assert "in the PostgreSQL of the setting lease_url" in printed and "secret" not in printed
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "warm engine, down: the first step that needs it starts it"),
        ({"THROUGHLINE_SPARK_ENGINE": "submit"}, "a process of spark-submit per job, on local[*]"),
        ({"THROUGHLINE_SPARK_MASTER": "spark://host:7077"}, "a process of spark-submit per job, on spark://host:7077"),
        ({"THROUGHLINE_SPARK_ENGINE": "sc://host/;token=secret"}, "the Spark Connect server of the setting"),
    ],
)
def test_what_runs_spark_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    printed = printed_by_doctor(tmp_path)
    assert expected in printed and "secret" not in printed
