"""Airflow's configuration: loopback only, secrets in files of mode 600, the Spark master of the settings."""

import configparser
import json
from pathlib import Path

import pytest

from pipeline.files import write_private
from pipeline.local import airflow_config as configuration
from pipeline.local import postgres
from pipeline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path, airflow_port=18081, spark_master="spark://cluster:7077")
    write_private(postgres.password_file(made), "a%password")
    configuration.write_airflow_configuration(made)
    return made


def test_airflow_listens_on_loopback(settings: Settings) -> None:
    parser = configparser.ConfigParser()
    parser.read(configuration.airflow_home(settings) / "airflow.cfg")
    assert parser["api"]["host"] == "127.0.0.1"
    assert parser["api"]["base_url"] == "http://127.0.0.1:18081"
    assert parser["core"]["execution_api_server_url"] == "http://127.0.0.1:18081/execution/"
    place = "throughline:a%password@127.0.0.1:55432/airflow?require_auth=scram-sha-256"
    assert parser["database"]["sql_alchemy_conn"].endswith(place)
    assert parser["core"]["simple_auth_manager_users"] == "operator:admin"
    assert "operator" in json.loads(Path(parser["core"]["simple_auth_manager_passwords_file"]).read_text())
    assert parser["usage_data_collection"]["enabled"] == "False"


def test_secrets_are_private_and_stay_the_same(settings: Settings) -> None:
    home = configuration.airflow_home(settings)
    before = {name: (home / name).read_text() for name in ("airflow.cfg", "keys.json", "passwords.json")}
    assert {(home / name).stat().st_mode & 0o777 for name in before} == {0o600}
    configuration.write_airflow_configuration(settings)
    assert {name: (home / name).read_text() for name in before} == before
    assert configuration.password(settings) in before["passwords.json"]
    keys = json.loads(before["keys.json"])
    assert {len(keys[name]) for name in ("secret_key", "jwt_secret")} == {64}, "SHA-512 signs by as many bytes"


def test_tasks_find_spark_and_triggers_find_their_modules(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "another")
    environment = configuration.airflow_environment(settings)
    assert environment["SPARK_CONF_DIR"] == str(settings.home / "conf")
    assert environment["PYTHONPATH"].split(":")[0] == str(configuration.DAGS)
    assert "AIRFLOW__CORE__EXECUTOR" not in environment


def test_deferred_tasks_keep_a_slot_of_the_accelerator_only(settings: Settings) -> None:
    pools = json.loads(configuration.pools_file(settings).read_text())
    assert {name: pool["include_deferred"] for name, pool in pools.items()} == {
        "spark": False,
        "gpu": True,
        "maintenance": False,
    }
    assert {pool["slots"] for pool in pools.values()} == {1}
