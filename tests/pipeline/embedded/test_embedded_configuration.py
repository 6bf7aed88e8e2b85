"""Where Spark finds its jars: fetched ones on one machine by their files, else by their names."""

from pathlib import Path

import pytest

from pipeline.local.spark_config import JARS, fetched_jars, spark_defaults, spark_jars
from pipeline.settings import Settings

NAMES = ("org.apache.iceberg_iceberg-spark-runtime-4.1_2.13-1.11.0.jar", "org.postgresql_postgresql-42.7.7.jar")
CATALOG = {"type": "rest", "uri": "http://127.0.0.1:1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "jars" / "jars"
    made.mkdir(parents=True)
    return made


def settings_of(home: Path, master: str = "local[2]") -> Settings:
    return Settings(home=home, catalog=CATALOG, spark_master=master)


def test_the_first_start_fetches_them_by_name(tmp_path: Path, folder: Path) -> None:
    told = spark_defaults(settings_of(tmp_path))
    assert told["spark.jars.packages"] == ",".join(JARS)
    assert told["spark.jars.ivy"] == str(tmp_path / "jars")
    assert "spark.driver.extraClassPath" not in told


def test_fetched_ones_are_read_where_they_lie(tmp_path: Path, folder: Path) -> None:
    for name in NAMES:
        (folder / name).touch()
    told = spark_defaults(settings_of(tmp_path))
    assert told["spark.driver.extraClassPath"] == f"{folder / NAMES[0]}:{folder / NAMES[1]}:{spark_jars()}/*"
    assert "spark.jars.packages" not in told


def test_one_of_another_version_is_not_taken_for_it(tmp_path: Path, folder: Path) -> None:
    (folder / NAMES[0].replace("1.11.0", "1.10.0")).touch()
    (folder / NAMES[1]).touch()
    assert fetched_jars(settings_of(tmp_path)) == []
    assert "spark.jars.packages" in spark_defaults(settings_of(tmp_path))


def test_a_cluster_is_given_names(tmp_path: Path, folder: Path) -> None:
    for name in NAMES:
        (folder / name).touch()
    assert "spark.jars.packages" in spark_defaults(settings_of(tmp_path, "spark://127.0.0.1:7077"))
