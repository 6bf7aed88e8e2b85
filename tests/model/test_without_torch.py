"""Machines that do not train have no torch: what needs it says so, and the rest goes on."""

import sys
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from model.__main__ import main
from model.errors import UsageError
from model.model_selection import READ, TRANSFORMER
from pipeline.demo.demo import _train
from pipeline.settings import Settings

DAY = date(2026, 1, 31)


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let imports of torch fail as where it is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


def test_a_training_says_where_to_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--through", str(DAY), "--run-id", "r", "--home", str(tmp_path)])
    assert ended.value.code == UsageError.exit_code
    error = capsys.readouterr().err
    assert error.startswith("model: a training needs torch, which is not installed here: run it with the image of")


def test_a_transformer_cannot_score(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scoring by a Transformer needs torch"):
        READ[TRANSFORMER](tmp_path)


def test_the_demo_goes_on_with_the_built_in_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not _train(DAY, Settings(home=tmp_path), Console())
    assert capsys.readouterr().out.startswith("no model was trained: torch is not installed here")
