"""Every DAG file is quick to parse, short and documented."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG

from orchestration import steps
from orchestration.operators import free_lease
from pipeline.runner.commands import TASKS
from pipeline.warehouse.names import NIGHT_TABLES

DAGS = Path(__file__).resolve().parents[2] / "dags"
HEAVY = (
    "pyspark",
    "torch",
    "great_expectations",
    "pandas",
    "pyarrow",
    "pyiceberg",
    "sklearn",
    "mlflow",
    "pipeline.jobs",
)
PROBE = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
runpy.run_path(sys.argv[2])
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("file", sorted(DAGS.glob("*.py")), ids=lambda file: file.stem)
def test_parsing_imports_nothing_heavy(file: Path) -> None:
    probe = [sys.executable, "-c", PROBE, str(DAGS), str(file)]
    done = subprocess.run(probe, capture_output=True, text=True, check=True, timeout=120)
    imported = json.loads(done.stdout.splitlines()[-1])
    assert "airflow.sdk" in imported
    assert [name for name in imported if name.startswith(HEAVY)] == []


@pytest.mark.parametrize("file", sorted(DAGS.glob("*.py")), ids=lambda file: file.stem)
def test_a_dag_file_is_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("name", sorted(file.stem for file in DAGS.glob("*.py")))
def test_the_ui_explains_a_dag(dags: dict[str, Any], name: str) -> None:
    dag = dags[name]  # a file and its DAG have one name
    assert len(dag.doc_md) > 300 and len(dag.tags) >= 2
    for key in dag.params:
        param = dag.params.get_param(key)
        assert {"title", "type"} <= param.schema.keys() and len(param.description or "") > 30, key
    for task in dag.tasks:
        assert task.owner == "throughline"
        assert len(task.doc_md or "") > 50, task.task_id
        assert task.on_failure_callback, task.task_id


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("day", "31.1.2026"),
        ("day", 20260131),
        ("model", "none; rm -rf /"),
        ("model", "$(id)"),
        ("model", "none\n"),
        ("all_users", "yes"),
    ],
)  # fmt: skip
def test_the_form_of_a_night_refuses_wrong_values(dags: dict[str, Any], key: str, value: Any) -> None:
    param = dags["interest_nightly"].params.get_param(key)
    with pytest.raises(ValueError, match=r"Invalid input|not"):
        param.resolve(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", ""), ("source", "shop.toml"), ("source", "/srv/shop.csv"), ("source", "--all"),
        ("reason", "Not a code"), ("source", "demo\n"), ("reason", "ok\n"),
        ("first_day", "31.1.2026"), ("dry_run", "yes"),
    ],
)  # fmt: skip
def test_the_form_of_a_replay_refuses_wrong_values(dags: dict[str, Any], key: str, value: Any) -> None:
    param = dags["interest_replay"].params.get_param(key)
    with pytest.raises(ValueError, match=r"Invalid input|not|does not match"):
        param.resolve(value)


@pytest.mark.parametrize("name", ["", "/srv/ids.txt", "../ids.txt", "--resume", "a/b", ".hidden", "october\n", "a..b"])
def test_the_form_of_an_erasure_takes_the_name_of_a_file_only(dags: dict[str, Any], name: str) -> None:
    params = dags["interest_erasure"].params
    with pytest.raises(ValueError, match=r"Invalid input|does not match"):
        params.get_param("request").resolve(name)
    assert params.get_param("request").resolve("october.txt") == "october.txt"
    assert params.get_param("dry_run").resolve() is True


def test_a_replay_is_a_dry_run_unless_that_is_switched_off(dags: dict[str, Any]) -> None:
    params = dags["interest_replay"].params
    assert params.get_param("dry_run").resolve() is True
    for source in ("demo", "/srv/logs/my shop.toml"):
        assert params.get_param("source").resolve(source) == source


def test_a_replay_frees_the_lease_that_a_dry_run_took(dags: dict[str, Any]) -> None:
    [task] = dags["interest_replay"].tasks
    assert (task.task_id, task.pool) == ("replay", "spark")
    assert free_lease in task.on_success_callback and free_lease in task.on_failure_callback


def test_the_night_runs_in_order_and_in_its_pools(dags: dict[str, Any]) -> None:
    dag = dags["interest_nightly"]
    order, task = [], dag.get_task("wait_for_landing")
    while task:
        order.append((task.task_id, task.pool))
        assert len(task.downstream_list) <= 1
        task = next(iter(task.downstream_list), None)
    waiting = ("wait_for_landing", "default_pool")
    spark = [(name, "spark") for name in ("clean", "sessions", "sequences")]
    assert order == [waiting, *spark, ("score", "gpu"), *[(name, "spark") for name in ("profiles", "audit", "publish")]]


def test_scoring_is_one_task_a_part_if_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_SCORE_PARTS", "3")
    with DAG("a_night"):
        task = steps.score_task()
    assert task.task_id == "score" and task.partial_kwargs["pool"] == "gpu"
    assert task.expand_input.value == {"part": [["--part", f"{number}/3"] for number in (1, 2, 3)]}
    monkeypatch.delenv("THROUGHLINE_SCORE_PARTS")
    with DAG("another_night"):
        whole = steps.score_task()
    assert whole.command == task.partial_kwargs["command"] and whole.part == []


def test_tasks_of_the_model_have_a_queue_if_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with DAG("a_night"):
        tasks = [steps.score_task(), steps.train_task()]
    assert [(task.pool, task.queue) for task in tasks] == [("gpu", "default")] * 2
    monkeypatch.setenv("THROUGHLINE_GPU_QUEUE", "of-gpus")
    with DAG("another_night"):
        tasks = [*steps.night_tasks(), steps.train_task()]
    assert {task.task_id for task in tasks if task.queue == "of-gpus"} == {"score", "train"}
    assert {task.task_id for task in tasks if task.queue != "of-gpus"} == set(TASKS) - {"score"}


def test_celery_ends_no_task_before_its_timeout(dags: dict[str, Any]) -> None:
    compose = yaml.safe_load((DAGS.parent / "docker" / "compose.yaml").read_text())
    variable = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    longest = max(task.execution_timeout for dag in dags.values() for task in dag.tasks)
    assert compose["services"]["airflow-scheduler"]["environment"][variable] > longest.total_seconds()


def test_the_publication_links_to_its_report(dags: dict[str, Any]) -> None:
    task = dags["interest_nightly"].get_task("publish")
    [link] = task.operator_extra_links
    rendered = SimpleNamespace(command=["python", "-m", "pipeline.jobs", "publish", "--day", "2026-01-31"])
    assert link.get_link(rendered, ti_key=None).endswith("/reports/2026-01-31.html")


def test_headers_are_added_to_each_answer_and_replace_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DAGS / "plugins"))
    security = importlib.import_module("security_headers")
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Referrer-Policy", b"no-referrer")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(security.SecurityHeaders(application)({"type": "http"}, None, keep))
    assert dict(sent[0]["headers"]) == {
        b"Referrer-Policy": b"no-referrer",
        b"x-frame-options": b"SAMEORIGIN",
        b"x-content-type-options": b"nosniff",
    }
    assert sent[1]["body"] == b"page"


def test_the_plugin_imports_no_server_before_the_first_request() -> None:
    """Every process of Airflow loads it, those of tasks too."""
    probe = "import sys; sys.path.insert(0, sys.argv[1]); import reports; print([*sys.modules])"
    command = [sys.executable, "-c", probe, str(DAGS / "plugins")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert "'airflow.plugins_manager'" in printed
    for heavy in ("pipeline.settings", "airflow.api_fastapi.core_api"):
        assert f"'{heavy}'" not in printed


def test_the_assets_are_the_published_tables(dags: dict[str, Any]) -> None:
    outlets = dags["interest_nightly"].get_task("publish").outlets
    assert sorted(asset.name for asset in outlets) == sorted(f"interest.{name}" for name in {*NIGHT_TABLES} - {"runs"})
