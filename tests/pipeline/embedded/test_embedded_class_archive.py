"""Which JVM maps the archive of classes, and when one is recorded anew."""

import os
import time
from pathlib import Path

import pytest

from pipeline.local import spark_config
from pipeline.local.spark_config import class_path, is_archive_fresh, spark_defaults
from pipeline.settings import Settings

OPTIONS = "spark.driver.extraJavaOptions"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home without an archive, beside a JDK and jars of a minute ago."""
    for name in ("java", "spark_jars", "home/jars"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(spark_config, "java", lambda: tmp_path / "java")
    monkeypatch.setattr(spark_config, "spark_jars", lambda: tmp_path / "spark_jars")
    return Settings(
        home=tmp_path / "home", catalog={"type": "rest", "uri": "http://127.0.0.1:1"}, spark_master="local[2]"
    )


def recorded(settings: Settings, seconds_from_now: float = 60.0, content: bytes = b"classes") -> Path:
    file = spark_config.class_archive(settings)
    file.write_bytes(content)
    moment = time.time() + seconds_from_now
    os.utime(file, (moment, moment))
    return file


def test_without_an_archive_the_jvm_is_told_of_none(settings: Settings) -> None:
    assert not is_archive_fresh(settings)
    assert "SharedArchiveFile" not in spark_defaults(settings)[OPTIONS]


def test_an_archive_is_mapped_on_one_machine(settings: Settings) -> None:
    file = recorded(settings)
    assert is_archive_fresh(settings)
    assert f"-XX:SharedArchiveFile={file}" in spark_defaults(settings)[OPTIONS]
    assert OPTIONS not in spark_defaults(settings.model_copy(update={"spark_master": "spark://127.0.0.1:7077"}))


def test_one_older_than_the_jdk_or_the_jars_is_recorded_anew(settings: Settings) -> None:
    recorded(settings, seconds_from_now=-60.0)
    assert not is_archive_fresh(settings)


def test_an_empty_one_says_that_this_jdk_keeps_none(settings: Settings) -> None:
    recorded(settings, content=b"")
    assert is_archive_fresh(settings)
    assert "SharedArchiveFile" not in spark_defaults(settings)[OPTIONS]


def test_no_folder_stands_before_a_jar(settings: Settings, tmp_path: Path) -> None:
    real, link = tmp_path / "real.jar", tmp_path / "link.jar"
    real.touch()
    link.symlink_to(real)
    assert class_path([link]) == f"{real}:{tmp_path / 'spark_jars'}/*"
