"""Checkpoints: a stopped training resumes to the same weights, and another training is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.errors import InputError
from model.transformer.checkpoint import Checkpoint
from model.transformer.progress import Progress
from model.transformer.trainer import Trainer


class Killed(Exception):
    """Raised to end a training before its last step."""


def kill_at(step: int) -> Callable[[Progress], None]:
    def on_step(progress: Progress) -> None:
        if progress.step == step:
            raise Killed

    return on_step


@pytest.mark.parametrize("every_seconds", [0.0, 1e9])
def test_the_times_of_checkpoints_do_not_change_the_weights(
    small: Any, same_weights: Callable[..., bool], tmp_path: Path, every_seconds: float
) -> None:
    """The training is stopped twice, once within an epoch. The loss curve is complete as well."""
    whole = small.trainer()
    weights = whole.run().state_dict()
    file = tmp_path / "training.pt"
    for step in (3, whole.steps // 2):
        with pytest.raises(Killed):
            small.trainer().run(kill_at(step), Checkpoint(file, every_seconds))
    resumed = small.trainer()
    steps: list[int] = []
    average = resumed.run(lambda progress: steps.append(progress.step), Checkpoint(file, 1e9))
    assert same_weights(average.state_dict(), weights)
    assert resumed.curve.points == whole.curve.points
    in_epoch = whole.steps // whole.config.epochs
    assert steps[0] == whole.steps // 2 if every_seconds == 0 else steps[0] % in_epoch == 1


def test_a_checkpoint_is_due_by_the_clock(tmp_path: Path) -> None:
    now = [0.0]
    checkpoint = Checkpoint(tmp_path / "training.pt", 60.0, lambda: now[0])
    now[0] = 59.0
    assert not checkpoint.is_due
    now[0] = 60.0
    assert checkpoint.is_due
    checkpoint.write({}, {})
    assert not checkpoint.is_due and checkpoint.read({}) == {}


def test_a_failed_write_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "training.pt")
    checkpoint.write({}, {"step": 1})

    def full(data: Any, out: Any) -> None:
        out.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.write({}, {"step": 2})
    assert checkpoint.read({}) == {"step": 1}


def test_the_checkpoint_of_another_training_is_refused(small: Any, tmp_path: Path) -> None:
    file = tmp_path / "training.pt"
    small.trainer(epochs=1).run(checkpoint=file)
    with pytest.raises(
        InputError,
        match=r"training\.pt is the checkpoint of another training: training\.epochs is 1 in the checkpoint and 2 in "
        r"this training \(1 diff.*"
        r"remove the file to start",
    ):
        small.trainer(epochs=2).run(checkpoint=file)
    config = replace(small.config, epochs=1)
    with pytest.raises(
        InputError, match=r"training set 0 is \d+ users, sha256 \w+ in the checkpoint and \d+ users, sha256 \w+ in this"
    ):
        Trainer(small.network(), [small.later_week], config).run(checkpoint=file)
    wider = small.network()
    wider.encoder.config = replace(wider.encoder.config, dropout=0.5)
    with pytest.raises(InputError, match=r"network\.dropout is 0\.2 in the checkpoint and 0\.5 in this training"):
        Trainer(wider, [small.training_set], config).run(checkpoint=file)


def test_removing_another_trainings_checkpoint_from_the_store_is_enough(small: Any, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "training.pt", in_store=tmp_path / "shared" / "training.pt")
    small.trainer(epochs=1).run(checkpoint=checkpoint)
    with pytest.raises(InputError, match=r"shared/training\.pt is the checkpoint of another training"):
        small.trainer(epochs=2).run(checkpoint=checkpoint)
    assert checkpoint.in_store is not None
    checkpoint.in_store.unlink()
    small.trainer(epochs=2).run(checkpoint=checkpoint)


def test_a_file_that_is_not_a_checkpoint_is_refused(small: Any, tmp_path: Path) -> None:
    file = tmp_path / "training.pt"
    other = tmp_path / "other.pt"
    torch.save({"weights": torch.ones(2)}, other)
    for found in (b"", b"something else", other.read_bytes()[:200], other.read_bytes()):
        file.write_bytes(found)
        with pytest.raises(InputError, match=r"is not a checkpoint of this version .*remove the file to start"):
            small.trainer(epochs=1).run(checkpoint=file)


def test_the_curve_of_a_short_training_has_every_step(small: Any) -> None:
    trainer = small.trainer(epochs=1, warmup_steps=2)
    losses: list[float] = []
    trainer.run(lambda progress: losses.append(progress.loss))
    assert [point.step for point in trainer.curve.points] == list(range(1, trainer.step + 1))
    assert [point.loss for point in trainer.curve.points] == losses
    rates = [point.learning_rate for point in trainer.curve.points if point.learning_rate is not None]
    assert rates == [trainer.config.learning_rate_at(step, trainer.steps) for step in range(trainer.step)]
    assert np.argmax(rates) == 1 and rates[0] == 0.5 * trainer.config.learning_rate
