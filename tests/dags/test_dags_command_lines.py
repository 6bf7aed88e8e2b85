"""The command lines that tasks render, compared with golden files and with those of the terminal."""

import copy
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.days import day_range
from pipeline.runner.commands import (
    STEPS,
    erase_command,
    maintain_command,
    replay_command,
    retain_command,
    step_commands,
    train_command,
)
from pipeline.settings import ROOT

GOLDEN = Path(__file__).parents[1] / "cases" / "dag_command_lines"
INTERVAL = (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
RUN_ID = "scheduled__2026-02-01T00:00:00+00:00"
SAFE_RUN_ID = "scheduled__2026-02-01T00-00-00-00-00"
DAY = day_range("2026-01-31", None, None)

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "night": ("interest_nightly", {}),
    "night_pinned_and_all_users": ("interest_nightly", {"model": "boosting-1.20260125", "all_users": True}),
    "maintenance": ("interest_maintenance", {}),
    "erasure": ("interest_erasure", {"request": "october.txt"}),
    "erasure_of_a_source": ("interest_erasure", {"request": "october", "source": "shop", "dry_run": False}),
    "retention": ("interest_retention", {}),
    "replay": ("interest_replay", {"source": "/srv/logs/shop.toml"}),
    "replay_from_a_day": (
        "interest_replay",
        {"source": "demo", "reason": "unparsable", "first_day": "2026-01-20", "dry_run": False},
    ),
    "training": ("interest_training", {}),
    "training_by_hand": ("interest_training", {"through": "2026-01-20", "promote": False}),
}


def command_lines(dag: Any, run: Any, conf: dict[str, Any]) -> dict[str, list[str]]:
    """Return the command line of each task of a run."""
    params = {
        key: dag.params.get_param(key).resolve(conf.get(key, dag.params.get_param(key).value)) for key in dag.params
    }
    started = {}
    for task in dag.tasks:
        task.render_template_fields({"dag_run": run, "params": params}, dag.get_template_env())
        if hasattr(task, "command"):
            started[task.task_id] = [word for word in task.command if word]
    return started


@pytest.fixture(params=CASES)
def rendered(request: pytest.FixtureRequest, dags: dict[str, Any], run_of: Any) -> tuple[str, dict[str, list[str]]]:
    dag_id, conf = CASES[request.param]
    # A copy, since rendering changes the tasks.
    return request.param, command_lines(copy.deepcopy(dags[dag_id]), run_of("scheduled", INTERVAL, RUN_ID), conf)


def test_command_lines_equal_the_golden_file(rendered: tuple[str, dict[str, list[str]]], golden_text: Any) -> None:
    name, started = rendered
    text = "".join(f"{task}: {shlex.join(arguments)}\n" for task, arguments in started.items())
    for path, place in {sys.executable: "PYTHON", str(ROOT): "ROOT"}.items():
        text = text.replace(path, place)
    golden_text(GOLDEN / f"{name}.txt", text)


def test_every_golden_file_has_a_case() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


def test_command_lines_equal_those_of_the_terminal(rendered: tuple[str, dict[str, list[str]]]) -> None:
    name, started = rendered
    conf = CASES[name][1]
    if name.startswith("night"):
        scoring = {"model": conf.get("model", "as-of"), "score_all": conf.get("all_users", False)}
        commands = [one for step in STEPS for one in step_commands(step, DAY, SAFE_RUN_ID, **scoring)]
    elif name.startswith("replay"):
        chosen = (conf["source"], conf.get("reason"), conf.get("first_day"), conf.get("dry_run", True))
        commands = [replay_command(*chosen, run_id=SAFE_RUN_ID)]
    elif name.startswith("erasure"):
        commands = [erase_command(conf["request"], None, False, SAFE_RUN_ID)]
        more = ["--source", conf["source"]] if "source" in conf else []
        assert started["erase"][len(commands[0].arguments) :] == more + ["--dry-run"] * conf.get("dry_run", True)
        started["erase"] = started["erase"][: len(commands[0].arguments)]
    elif name == "retention":
        commands = [retain_command(SAFE_RUN_ID)]
    elif name == "maintenance":
        commands = [maintain_command(SAFE_RUN_ID)]
    else:
        through = day_range(conf.get("through", "2026-01-31"), None, None).last
        commands = [train_command(through, SAFE_RUN_ID, conf.get("promote", True))]
    terminal = {command.label: list(command.arguments) for command in commands}
    assert started == terminal


def test_a_night_without_a_day_renders_nothing(dags: dict[str, Any], run_of: Any) -> None:
    with pytest.raises(Exception, match="neither the param `day` nor a data interval"):
        command_lines(copy.deepcopy(dags["interest_nightly"]), run_of("manual"), {})
