"""`model train` with two ranks on this machine: one training, printed, saved and promoted once."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from model.registry import Registry
from tests.bench.generated_sequences import SEQUENCES_TABLE, catalog_environment, new_catalog

Trained = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def trained(shop: Any, tmp_path: Path) -> Trained:
    """Return a function that trains the Transformer with two ranks on a few users of the shop."""
    sequences = new_catalog(tmp_path).load_table(SEQUENCES_TABLE)
    few = replace(shop, touches=[touch for touch in shop.touches if touch[0] < "user0100"])
    for number in (4, 3, 2, 1, 0):
        day = shop.last_day - timedelta(days=7 * number)
        sequences.append(few.until(day).filter(pc.field("as_of") > day - timedelta(days=7)))

    def train(through: str) -> subprocess.CompletedProcess[str]:
        ours = {"THROUGHLINE_HOME": str(tmp_path), "THROUGHLINE_TRAIN_RANKS": "2"}
        command = [sys.executable, "-m", "model", "train", "--through", through, "--run-id", "t"]
        return subprocess.run(
            [*command, "--challengers", "transformer"],
            env={**os.environ, **catalog_environment(tmp_path), **ours},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return train


def test_two_ranks_train_together_and_one_saves_the_model(trained: Trained, shop: Any, tmp_path: Path) -> None:
    result = trained(str(shop.last_day))
    assert result.returncode == 0, result.stderr
    line, *others = result.stdout.splitlines()
    assert re.fullmatch(r"transformer-1\.\d+ (not )?promoted: nDCG@10 .*", line)
    assert len(re.findall("counts-1", result.stderr)) == 1, "only one rank prints"
    assert len(others) == 7 and (tmp_path / "trainings" / "t.html").is_file()
    client = Registry(tmp_path)._client()
    (experiment,) = [one for one in client.search_experiments() if one.name == "interest-training"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.params["kind"] for run in runs) == ["items-1", "transformer-1"], "one rank records them"
    assert list((tmp_path / "exchange").iterdir()) == []


def test_an_error_of_the_ranks_is_printed_with_its_exit_code(trained: Trained, shop: Any) -> None:
    result = trained(str(shop.last_day - timedelta(days=14)))
    assert result.returncode == 1
    assert "model: too little history to train through" in result.stderr
