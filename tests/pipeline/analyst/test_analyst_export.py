"""Exports of audiences and profiles to files."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import typer

from pipeline import cli_analyst
from pipeline.analyst import export
from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.export import export_audience, export_profiles
from pipeline.erasure.receipt import HOLDS, NONE, UNREAD, copies_elsewhere
from pipeline.errors import InputError, UsageError
from pipeline.files import place_of
from tests.pipeline.analyst.conftest import ANN, DAY, interest
from tests.remote_stack import bucket_in_s3

USERS = {"u1": 0.9, "u2": 0.5, "u3": 0.25}


@pytest.fixture
def connection(own_night: Any) -> duckdb.DuckDBPyConnection:
    rows = [{"user_id": user, "interests": [interest("=rock", one, 1)]} for user, one in USERS.items()]
    own_night.append("profiles", *rows)
    own_night.publish(date(2026, 2, 1))
    return connect_to_catalog(own_night.catalog)


def test_an_audience_has_the_users_from_the_least_affinity_on(connection: Any, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "rock.parquet"
    assert export_audience(connection, "=rock", 0.5, file, min_audience=2) == 2
    found = pq.read_table(file).select(["user_id", "affinity"]).to_pylist()
    assert found == [{"user_id": "u1", "affinity": 0.9}, {"user_id": "u2", "affinity": 0.5}]
    assert [one.name for one in file.parent.iterdir()] == ["rock.parquet"]


@pytest.mark.parametrize(("raw", "tag"), [(False, "'=rock"), (True, "=rock")])
def test_csv_has_one_header_and_no_formula(
    connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bool, tag: str
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)  # DuckDB may still make larger batches
    file = tmp_path / "rock.csv"
    assert export_audience(connection, "=rock", 0, file, raw, min_audience=3) == 3
    header, *rows = csv.reader(file.read_text().splitlines())
    assert header[:3] == ["user_id", "tag", "affinity"]
    assert [row[:2] for row in rows] == [["u1", tag], ["u2", tag], ["u3", tag]]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_profiles_are_one_row_per_user(connection: Any, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"profiles.{suffix}"
    assert export_profiles(connection, file, min_audience=4) == 4
    rows = pq.read_table(file).to_pylist() if suffix == "parquet" else list(csv.DictReader(file.open()))
    assert [row["user_id"] for row in rows] == [ANN, *USERS]


@pytest.mark.parametrize(
    ("tag", "least", "message"),
    [
        ("nothing", 0.5, "no user has the tag 'nothing'"),
        ("jazz", 0.5, "fewer than 2 users have the tag 'jazz': an audience has 2 or more, by the setting min_audience"),
        ("=rock", 0.95, "affinity of 0.95 or more: lower --min-affinity to 0.500, which 2 users have"),
    ],
)
def test_an_audience_of_too_few_users_writes_no_file(
    connection: Any, tmp_path: Path, tag: str, least: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export_audience(connection, tag, least, tmp_path / "a.csv", min_audience=2)
    assert list(tmp_path.glob("*.csv")) == []


def test_too_few_profiles_write_no_file(connection: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the release has fewer than 10 profiles"):
        export_profiles(connection, tmp_path / "profiles.csv")
    assert list(tmp_path.glob("*.csv")) == []


def test_commands_use_the_setting_min_audience(
    night: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("THROUGHLINE_MIN_AUDIENCE", "1")
    monkeypatch.setattr(cli_analyst, "open_catalog", lambda console: night.catalog)
    cli_analyst.query("SELECT audience FROM tag_audience WHERE tag = 'jazz'", output_format="csv")
    assert capsys.readouterr().out == "audience\n1\n"
    cli_analyst.export_audience("jazz", tmp_path / "jazz.csv")
    cli_analyst.export_profiles(tmp_path / "profiles.csv")
    cli_analyst.report(str(DAY))
    page = (tmp_path / "reports" / f"{DAY}.html").read_text(encoding="utf-8")
    assert "fewer than" not in page and "large enough" not in page


def test_another_format_is_refused(connection: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a file name that ends in \.parquet or \.csv"):
        export_profiles(connection, tmp_path / "profiles.xlsx")


def test_an_export_to_s3_is_whole_and_known_to_an_erasure(
    night: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("THROUGHLINE_MIN_AUDIENCE", "1")
    monkeypatch.setattr(cli_analyst, "open_catalog", lambda console: night.catalog)
    with bucket_in_s3() as bucket:
        for name in ("profiles.parquet", "profiles.csv"):
            file = place_of(f"{bucket}/{name}")
            cli_analyst.export_profiles(file)
            with file.open("rb") as content:
                assert ANN.encode() in content.read() or name.endswith("parquet")
        found = [[one.found for one in copies_elsewhere(tmp_path, {who.encode()})] for who in (ANN, "0" * 64)]
        assert found == [[HOLDS, HOLDS], [NONE, NONE]]
    assert [one.found for one in copies_elsewhere(tmp_path, {ANN.encode()})] == [UNREAD, UNREAD]


def test_another_store_is_refused() -> None:
    for command in ("audience jazz", "profiles"):
        words = f"export {command} --to gs://bucket/rows.csv".split()
        with pytest.raises(UsageError, match="expected a path of this machine or s3://bucket/folder"):
            typer.main.get_command(cli_analyst.app).main(words, standalone_mode=False)
