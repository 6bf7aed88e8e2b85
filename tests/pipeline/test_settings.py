"""Settings: where a value comes from, and the errors about wrong ones."""

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.settings import ROOT, home_from_environment, load_settings
from pipeline.version import code_version


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, without the settings of the person who runs the tests."""
    for name in [name for name in os.environ if name.upper().startswith("THROUGHLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    return tmp_path


def test_defaults(home: Path) -> None:
    settings = load_settings()
    assert (settings.home, settings.spark_master, settings.uses_local_catalog) == (home, "local[*]", True)
    assert (settings.allowed_lateness_days, settings.duplicate_days, settings.future_days) == (3, 7, 1)
    assert (settings.sequence_length, settings.lease_silence_seconds) == (512, 600)


def test_the_default_home_is_in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THROUGHLINE_HOME")
    assert load_settings().home == ROOT / ".throughline"


def test_a_variable_sets_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_SEQUENCE_LENGTH", "64")
    monkeypatch.setenv("THROUGHLINE_CATALOG", '{"type": "rest", "uri": "http://127.0.0.1:8181"}')
    settings = load_settings()
    assert settings.sequence_length == 64
    assert settings.catalog["type"] == "rest" and not settings.uses_local_catalog


def test_a_variable_overrides_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "settings.toml").write_text(
        'sequence_length = 64\nfuture_days = 2\n[spark_options]\n"spark.executor.memory" = "2g"\n'
    )
    monkeypatch.setenv("THROUGHLINE_FUTURE_DAYS", "5")
    settings = load_settings()
    assert (settings.sequence_length, settings.future_days) == (64, 5)
    assert settings.spark_options == {"spark.executor.memory": "2g"}


def test_an_unknown_variable_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_SEQUENCE_LENGHT", "64")
    with pytest.raises(UsageError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith("unknown setting THROUGHLINE_SEQUENCE_LENGHT: expected one of ")
    assert "THROUGHLINE_SEQUENCE_LENGTH," in message


def test_an_unknown_key_is_refused_with_its_file(home: Path) -> None:
    (home / "settings.toml").write_text("sequence_lenght = 64\n")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert "setting sequence_lenght = 64" in str(caught.value)
    assert str(home / "settings.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("sequence_length", "many", "valid integer"),
        ("sequence_length", "0", "greater than or equal to 1"),
        ("postgres_port", "80", "greater than or equal to 1024"),
        ("spark_deploy_mode", "clutser", "pattern"),
    ],
)
def test_a_wrong_value_is_refused_with_its_possible_origins(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(f"THROUGHLINE_{name.upper()}", value)
    with pytest.raises(UsageError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"setting {name} = {value!r}: ") and problem in message
    assert f"THROUGHLINE_{name.upper()}" in message and str(home / "settings.toml") in message


def test_the_pseudonym_key_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_PSEUDONYM_KEY", "a-secret")
    settings = load_settings()
    assert "a-secret" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize("value", ["~/throughline", "some/folder", ""])
def test_the_home_is_absolute(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", value)
    home = load_settings().home
    assert home.is_absolute() and "~" not in str(home) and home == home_from_environment()


def test_a_file_with_invalid_toml_is_named(home: Path) -> None:
    (home / "settings.toml").write_text("sequence_length = ")
    with pytest.raises(UsageError, match=r"settings\.toml"):
        load_settings()


def test_a_variable_with_invalid_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_SPARK_OPTIONS", "spark.executor.memory=2g")
    with pytest.raises(UsageError, match="THROUGHLINE_SPARK_OPTIONS"):
        load_settings()


def test_the_results_hash_depends_on_what_can_change_a_row_only(tmp_path: Path) -> None:
    toml = tmp_path / "shop.toml"
    toml.write_text('name = "shop"')
    plain = load_settings().results_hash([toml])
    assert load_settings(spark_master="local[1]", lease_wait_seconds=1).results_hash([toml]) == plain
    assert load_settings(sequence_length=64).results_hash([toml]) != plain
    assert load_settings(horizon_days=1).results_hash([toml]) != plain
    toml.write_text('name = "store"')
    assert load_settings().results_hash([toml]) != plain


def test_a_machine_without_git_has_a_version(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_version().startswith(version("throughline"))
    monkeypatch.setenv("PATH", str(home))
    assert code_version() == version("throughline")


@pytest.mark.parametrize(
    ("key", "cure"),
    [
        ("credential", "expected env:NAME, with the secret in the variable NAME"),
        ("token", "expected env:NAME, with the secret in the variable NAME"),
        ("s3.secret-access-key", "set the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_secret_of_a_catalog_is_refused_unless_a_variable_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, cure: str
) -> None:
    monkeypatch.setenv("THROUGHLINE_CATALOG", json.dumps({"type": "rest", "uri": "http://c", key: "hush-hush"}))
    with pytest.raises(UsageError, match=cure) as refused:
        load_settings(home=tmp_path)
    assert "hush-hush" not in str(refused.value) and f"key {key} holds a secret" in str(refused.value)
