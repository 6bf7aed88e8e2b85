"""The Airflow of `make bench cluster` is that of `docker/compose.yaml`."""

from pathlib import Path

import pytest

from pipeline.files import write_private
from pipeline.local import postgres
from pipeline.settings import Settings
from tests.bench.celery_workers import compose_variables, variables_on_loopback, worker_command


def test_each_value_of_compose_that_names_another_machine_is_replaced(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    write_private(postgres.password_file(settings), "word")
    variables = variables_on_loopback(settings, {"AWS_REGION": "here"}, "redis://127.0.0.1")
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor" and variables["AWS_REGION"] == "here"
    assert variables["AIRFLOW__CELERY__BROKER_URL"] == "redis://127.0.0.1"
    with pytest.raises(AssertionError, match="AIRFLOW__CORE__FERNET_KEY"):
        compose_variables({})


def test_workers_start_by_the_command_of_compose() -> None:
    assert worker_command() == ["airflow", "celery", "worker", "--queues"]
