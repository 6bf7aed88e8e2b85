"""Trainings in real processes: one that is killed with -9 and started again, and one of two ranks."""

import pickle
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.transformer.dataset import batch_by_length
from model.transformer.loss import total_loss
from model.transformer.network import InterestTransformer

PATIENCE_SECONDS = 120


def prepare(small: Any, folder: Path) -> None:
    (folder / "training.pickle").write_bytes(pickle.dumps((small.network(), small.training_set, small.config)))


def position(folder: Path) -> tuple[int, int, int]:
    """Return the finished epochs, the finished batch_by_length of the next one, and the steps in the checkpoint."""
    file = folder / "checkpoint.pt"
    return tuple(torch.load(file, weights_only=True)["state"]["position"]) if file.exists() else (0, 0, 0)


@torch.no_grad()
def later_loss(small: Any, network: InterestTransformer) -> float:
    """Return the mean loss per user in the week after the training set."""
    later, total, users = small.later_week, 0.0, 0
    for user_B in batch_by_length(later.lengths_U(), small.config.tokens_per_batch):
        batch = later.batch(user_B)
        output = network(batch.tokens, batch.stacked_BCTP)
        total += float(total_loss(network, output, batch, small.config.weights)) * len(user_B)
        users += len(user_B)
    return total / users


@pytest.mark.slow
def test_a_training_killed_within_an_epoch_resumes_to_the_same_weights_bit_for_bit(
    small: Any, child: Callable[..., Any], same_weights: Callable[..., bool], tmp_path: Path, one_thread: None
) -> None:
    prepare(small, tmp_path)
    line, options = child(tmp_path, 0.1)
    training = subprocess.Popen(line, **options)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while position(tmp_path) < (1, 1, 0):
        assert training.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    training.kill()
    assert training.wait() == -9
    killed_at = position(tmp_path)
    assert killed_at[0] == 1 and killed_at[1] > 0 and not (tmp_path / "weights.0.pt").exists()

    line, options = child(tmp_path, 0)
    subprocess.run(line, **options, check=True, timeout=PATIENCE_SECONDS)
    resumed = torch.load(tmp_path / "weights.0.pt", weights_only=True)
    whole = small.trainer().run().state_dict()
    assert same_weights(resumed, whole)
    assert position(tmp_path)[2] > killed_at[2]


@pytest.mark.slow
def test_two_ranks_end_with_equal_weights_that_are_as_good_as_those_of_one_rank(
    small: Any, child: Callable[..., Any], same_weights: Callable[..., bool], tmp_path: Path
) -> None:
    prepare(small, tmp_path)
    line, options = child(tmp_path, 0, ranks=2)
    subprocess.run(line, **options, check=True, timeout=PATIENCE_SECONDS)
    first, second = (torch.load(tmp_path / f"weights.{rank}.pt", weights_only=True) for rank in (0, 1))
    assert same_weights(first, second)
    network = small.network().eval()
    one_rank = small.trainer()
    untrained, alone = later_loss(small, network), later_loss(small, one_rank.run())
    network.load_state_dict(first)
    gained = untrained - alone
    assert gained > 0 and abs(later_loss(small, network) - alone) < 0.02 * gained
    assert position(tmp_path) == (one_rank.epoch, 0, one_rank.step)
