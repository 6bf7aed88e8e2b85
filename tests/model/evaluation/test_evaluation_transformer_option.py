"""`--transformer` adds the Transformer to an evaluation; without it an evaluation stays short."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import model.evaluation.command as order
import pipeline.cli as terminal
from model.__main__ import app
from model.data.item_tags import NO_TAGS
from model.transformer.fit import WEEKLY_TRANSFORMER
from pipeline.runner.commands import evaluate_command
from pipeline.settings import Settings


class Stopped(Exception):
    """Replaces the whole evaluation."""


@pytest.mark.parametrize(("more", "is_there"), [((), False), (("--transformer",), True)])
def test_the_option_adds_the_transformer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], is_there: bool
) -> None:
    evaluated: dict[str, Any] = {}

    class Sequences:
        span = (date(2026, 1, 1), date(2026, 3, 31))

    def evaluate(known: Any, windows: Any, families: Any, *_: Any) -> Any:
        evaluated.update(families)
        raise Stopped

    monkeypatch.setattr(order, "_sequences", lambda order: Sequences())
    monkeypatch.setattr(order, "load_catalog", lambda name: None)
    monkeypatch.setattr(order, "read_item_tags", lambda catalog, branch: NO_TAGS)
    monkeypatch.setattr(order, "read_histories", lambda sequences, windows, item_tags: {})
    monkeypatch.setattr(order, "evaluate", evaluate)
    CliRunner(env={"THROUGHLINE_HOME": str(tmp_path)}).invoke(
        app, ["evaluate", "--as-of", "2026-03-24", "--run-id", "try-1", *more]
    )
    assert set(order.SEARCH_SPACES) <= set(evaluated)
    assert ("transformer" in evaluated) == is_there
    if is_there:
        assert evaluated["transformer"] == (WEEKLY_TRANSFORMER,)


def test_the_command_passes_the_option_and_the_horizon_of_the_home_on(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(terminal, "prepare_environment", lambda console: Settings(horizon_days=3))
    monkeypatch.setattr(terminal, "run_all", lambda commands, *_: started.extend(commands))
    for more in ([], ["--transformer"]):
        done = CliRunner().invoke(terminal.app, ["evaluate", "--as-of", "2026-03-24", *more])
        assert done.exit_code == 0, done.output
    day = date(2026, 3, 24)
    assert started == [evaluate_command(day, 3), evaluate_command(day, 3, with_transformer=True)]
    assert ["--transformer" in command.arguments for command in started] == [False, True]
