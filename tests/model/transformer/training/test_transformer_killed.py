"""Real processes: killed with -9 and started again, and two ranks beside each other."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.transformer.early_stop import LeastLoss
from model.transformer.store import write_store

PATIENCE_SECONDS = 120


def prepared(small: Any, folder: Path) -> None:
    write_store(folder / "taught.arrow", small.taught)
    write_store(folder / "judged.arrow", small.judged)
    torch.save((small.network(), small.recipe), folder / "network.pt")


def stands(folder: Path) -> tuple[int, int, int]:
    """Return epochs done, batches done of the next one, and steps, as the checkpoint has them."""
    file = folder / "checkpoint.pt"
    return tuple(torch.load(file, weights_only=True)["state"]["stands"]) if file.exists() else (0, 0, 0)


@pytest.mark.slow
def test_killed_in_the_middle_of_an_epoch_it_goes_on_to_the_same_weights_bit_for_bit(
    small: Any, child: Callable[..., Any], same_weights: Callable[..., bool], tmp_path: Path, one_thread: None
) -> None:
    prepared(small, tmp_path)
    line, options = child(tmp_path, 0.1)
    training = subprocess.Popen(line, **options)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stands(tmp_path) < (1, 1, 0):
        assert training.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    training.kill()
    assert training.wait() == -9
    killed_at = stands(tmp_path)
    assert killed_at[0] == 1 and killed_at[1] > 0 and not (tmp_path / "weights.0.pt").exists()

    line, options = child(tmp_path, 0)
    subprocess.run(line, **options, check=True, timeout=PATIENCE_SECONDS)
    resumed = torch.load(tmp_path / "weights.0.pt", weights_only=True)
    whole = small.trainer(LeastLoss(small.judged, small.recipe)).run().state_dict()
    assert same_weights(resumed, whole)
    assert stands(tmp_path)[2] > killed_at[2]


@pytest.mark.slow
def test_two_ranks_end_with_the_same_weights_as_good_as_those_of_one(
    small: Any, child: Callable[..., Any], same_weights: Callable[..., bool], tmp_path: Path
) -> None:
    prepared(small, tmp_path)
    line, options = child(tmp_path, 0, ranks=2)
    subprocess.run(line, **options, check=True, timeout=PATIENCE_SECONDS)
    first, second = (torch.load(tmp_path / f"weights.{rank}.pt", weights_only=True) for rank in (0, 1))
    assert same_weights(first, second)
    judge, network = LeastLoss(small.judged, small.recipe), small.network().eval()
    one_rank = small.trainer(judge)
    untrained, alone = judge(network), judge(one_rank.run())
    network.load_state_dict(first)
    gained = alone - untrained
    assert gained > 0 and abs(judge(network) - alone) < 0.02 * gained
    assert stands(tmp_path) == (one_rank.epoch, 0, one_rank.step)
