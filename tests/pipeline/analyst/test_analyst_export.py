"""Exports of audiences and profiles to files."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.analyst import export
from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.export import export_audience, export_profiles
from pipeline.errors import InputError, UsageError
from tests.pipeline.analyst.conftest import ANN, interest

USERS = {"u1": 0.9, "u2": 0.5, "u3": 0.25}


@pytest.fixture
def connection(own_night: Any) -> duckdb.DuckDBPyConnection:
    rows = [{"user_id": user, "interests": [interest("=rock", one, 1)]} for user, one in USERS.items()]
    own_night.append("profiles", *rows)
    own_night.publish(date(2026, 2, 1))
    return connect_to_catalog(own_night.catalog)


def test_an_audience_has_the_users_from_the_least_affinity_on(connection: Any, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "rock.parquet"
    assert export_audience(connection, "=rock", 0.5, file) == 2
    found = pq.read_table(file).select(["user_id", "affinity"]).to_pylist()
    assert found == [{"user_id": "u1", "affinity": 0.9}, {"user_id": "u2", "affinity": 0.5}]
    assert [one.name for one in file.parent.iterdir()] == ["rock.parquet"]


@pytest.mark.parametrize(("raw", "tag"), [(False, "'=rock"), (True, "=rock")])
def test_csv_has_one_header_and_no_formula(
    connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bool, tag: str
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)  # DuckDB may still make larger batches
    file = tmp_path / "rock.csv"
    assert export_audience(connection, "=rock", 0, file, raw) == 3
    header, *rows = csv.reader(file.read_text().splitlines())
    assert header[:3] == ["user_id", "tag", "affinity"]
    assert [row[:2] for row in rows] == [["u1", tag], ["u2", tag], ["u3", tag]]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_profiles_are_one_row_per_user(connection: Any, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"profiles.{suffix}"
    assert export_profiles(connection, file) == 4
    rows = pq.read_table(file).to_pylist() if suffix == "parquet" else list(csv.DictReader(file.open()))
    assert [row["user_id"] for row in rows] == [ANN, *USERS]


@pytest.mark.parametrize(
    ("tag", "least", "message"),
    [("nothing", 0.5, "no user has the tag 'nothing'"), ("=rock", 0.95, "the highest is 0.900")],
)
def test_an_empty_audience_writes_no_file(
    connection: Any, tmp_path: Path, tag: str, least: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export_audience(connection, tag, least, tmp_path / "a.csv")
    assert list(tmp_path.glob("*.csv")) == []


def test_another_format_is_refused(connection: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a file name that ends in \.parquet or \.csv"):
        export_profiles(connection, tmp_path / "profiles.xlsx")
