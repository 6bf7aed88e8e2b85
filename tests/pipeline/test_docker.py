"""The files of docker/: what can be checked of images and of the stack without a container engine."""

import json
import re
import shlex
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.local import container, spark_config
from pipeline.local.container import container_environment
from pipeline.runner import commands
from pipeline.settings import ROOT, Settings, load_settings

DOCKER = ROOT / "docker"
IMAGES = sorted(DOCKER.glob("Dockerfile.*"))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def instructions(file: Path) -> list[list[str]]:
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE))
    return [shlex.split(line) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.name)
def test_an_image_is_pinned_and_does_not_run_as_root(file: Path) -> None:
    lines = instructions(file)
    bases = [words[1] for words in lines if words[0] == "FROM"]
    assert len(bases) == 2, "one stage builds, one runs"
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases)
    assert any("--require-hashes" in words and "/tmp/uv.txt" in words for words in lines), "as the Makefile pins it"
    assert [words[1] for words in lines if words[0] == "USER"] == ["10001"]
    copied = [words[1:-1] for words in lines if words[0] == "COPY" and not words[1].startswith("--")]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name in chain.from_iterable(copied):
        assert (ROOT / name).exists() and f"!{name}" in ignored


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.name)
def test_an_image_installs_the_project_too(file: Path) -> None:
    """Without it there is neither the command `throughline` nor the version that each row of profiles names."""
    lines = instructions(file)
    copies = [number for number, words in enumerate(lines) if words[0] == "COPY" and not words[1].startswith("--")]
    synced = {number: words for number, words in enumerate(lines) if words[0] == "RUN" and "$SYNC" in words}
    first, last = sorted(synced)
    assert synced[first][-1] == "--no-install-project" and synced[last][-1] == "$SYNC"
    assert last > max(copies), "the code is copied before"


def test_each_image_has_its_groups_alone() -> None:
    groups = {file.suffix: re.findall(r"--group (\w+)", file.read_text()) for file in IMAGES}
    assert groups == {".airflow": ["celery", "boosting"], ".gpu": ["train", "celery"], ".spark": []}
    assert "--no-install-package pyspark" in (DOCKER / "Dockerfile.gpu").read_text()


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.name)
def test_an_image_holds_the_packages_that_its_packages_import(file: Path) -> None:
    copied = {words[1] for words in instructions(file) if words[0] == "COPY"} & {"pipeline", "model", "throughline"}
    texts = [module.read_text() for package in copied for module in (ROOT / package).rglob("*.py")]
    imported = {name for text in texts for name in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)}
    assert imported & {"pipeline", "model", "throughline"} <= copied


def test_each_server_has_a_health_check_and_each_dependency_exists() -> None:
    for name, service in SERVICES.items():
        assert "healthcheck" in service or service["restart"] == "no", name
        for needed, how in service.get("depends_on", {}).items():
            is_once = SERVICES[needed]["restart"] == "no"
            assert how["condition"] == ("service_completed_successfully" if is_once else "service_healthy")


def test_workers_share_no_folder_and_take_each_queue() -> None:
    workers = {name: service for name, service in SERVICES.items() if "celery" in service.get("command", [])}
    queues = {name: service["command"][-1] for name, service in workers.items()}
    assert queues == {"airflow-worker": "default", "airflow-worker-gpu": "gpu"}
    assert "THROUGHLINE_GPU_QUEUE=gpu" in (DOCKER / "env.example").read_text()
    assert all(service["volumes"] == [] for service in workers.values())
    assert all(service["environment"] == SERVICES["airflow-scheduler"]["environment"] for service in workers.values())


def test_settings_of_the_stack_exist_and_hold_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = [line.rstrip("=") for line in (DOCKER / "env.example").read_text().splitlines() if line[0] != "#"]
    used = set(re.findall(r"\$\{([A-Z_0-9]+):\?", (DOCKER / "compose.yaml").read_text()))
    assert used == set(secrets)
    for name in secrets:
        monkeypatch.setenv(name, "x" * 20)
    for name, value in SERVICES["airflow-scheduler"]["environment"].items():
        if name.startswith("THROUGHLINE_"):
            monkeypatch.setenv(name, re.sub(r"\$\{(\w+)(:[?-][^}]*)?\}", "x" * 20, str(value)))
    settings = load_settings(home=tmp_path)
    assert settings.uses_s3 and settings.spark_master == "spark://spark-master:7077"
    for file, pattern in (
        ("helm-values.yaml", r"name: (THROUGHLINE_\w+)"),
        ("managed-airflow.env", r"^(THROUGHLINE_\w+)"),
    ):
        for name in re.findall(pattern, (DOCKER / file).read_text(), re.MULTILINE):
            assert name.removeprefix("THROUGHLINE_").lower() in Settings.model_fields, (file, name)
    values = yaml.safe_load((DOCKER / "helm-values.yaml").read_text())
    assert all(json.loads(one["value"]) for one in values["env"] if one["value"].startswith("{"))


def test_an_image_without_spark_needs_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As that of the worker of the queue `gpu`."""
    for module in (commands, container, spark_config):
        monkeypatch.setattr(module, "has_spark", lambda: False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    rest = {"type": "rest", "uri": "http://catalog"}
    environment = container_environment(Settings(home=tmp_path, catalog=rest, lease_url="postgresql://db/lease"))
    assert "JAVA_HOME" not in environment
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()] == [
        "conf/.pyiceberg.yaml"
    ]


def test_a_container_refuses_state_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="setting catalog is empty: a container needs a catalog and a lease outside"):
        container_environment(Settings(home=tmp_path))
    rest = {"type": "rest", "uri": "http://catalog"}
    with pytest.raises(UsageError, match="setting lease_url is empty"):
        container_environment(Settings(home=tmp_path, catalog=rest))
    environment = container_environment(Settings(home=tmp_path, catalog=rest, lease_url="postgresql://db/lease"))
    assert environment["SPARK_CONF_DIR"] == environment["PYICEBERG_HOME"] == str(tmp_path / "conf")
    assert (tmp_path / "conf" / "spark-defaults.conf").is_file()
