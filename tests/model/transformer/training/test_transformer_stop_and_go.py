"""A training that was stopped goes on as if it had not been, and no other one goes on from its checkpoint."""

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
    """Stands for whatever ends a training in the middle."""


def kill_at(step: int) -> Callable[[Progress], None]:
    def told(progress: Progress) -> None:
        if progress.step == step:
            raise Killed

    return told


@pytest.mark.parametrize("every_seconds", [0.0, 1e9])
def test_when_checkpoints_are_written_changes_no_weight(
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
    assert resumed.curves == whole.curves
    in_epoch = whole.steps // whole.recipe.epochs
    assert steps[0] == whole.steps // 2 if every_seconds == 0 else steps[0] % in_epoch == 1


def test_a_checkpoint_is_due_by_the_clock(tmp_path: Path) -> None:
    now = [0.0]
    kept = Checkpoint(tmp_path / "training.pt", 60.0, lambda: now[0])
    now[0] = 59.0
    assert not kept.is_due
    now[0] = 60.0
    assert kept.is_due
    kept.write({}, {})
    assert not kept.is_due and kept.read({}) == {}


def test_a_write_that_fails_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoint(tmp_path / "training.pt")
    kept.write({}, {"step": 1})

    def full(told: Any, out: Any) -> None:
        out.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        kept.write({}, {"step": 2})
    assert kept.read({}) == {"step": 1}


def test_the_checkpoint_of_another_training_is_refused(small: Any, tmp_path: Path) -> None:
    file = tmp_path / "training.pt"
    small.trainer(epochs=1).run(checkpoint=file)
    with pytest.raises(
        InputError,
        match=r"training\.pt is the checkpoint of another training: recipe\.epochs is 1 there and 2 here \(1 diff.*"
        r"remove the file to begin anew",
    ):
        small.trainer(epochs=2).run(checkpoint=file)
    recipe = replace(small.recipe, epochs=1)
    with pytest.raises(InputError, match=r"source 0 is \d+ users, sha256 \w+ there and \d+ users, sha256 \w+ here"):
        Trainer(small.network(), [small.later_week], recipe).run(checkpoint=file)
    wider = small.network()
    wider.encoder.size = replace(wider.encoder.size, dropout=0.5)
    with pytest.raises(InputError, match=r"size\.dropout is 0\.2 there and 0\.5 here"):
        Trainer(wider, [small.training_set], recipe).run(checkpoint=file)


def test_a_file_that_is_no_checkpoint_is_refused(small: Any, tmp_path: Path) -> None:
    file = tmp_path / "training.pt"
    other = tmp_path / "other.pt"
    torch.save({"weights": torch.ones(2)}, other)
    for found in (b"", b"something else", other.read_bytes()[:200], other.read_bytes()):
        file.write_bytes(found)
        with pytest.raises(InputError, match=r"cannot be read as a checkpoint .*remove the file to begin anew"):
            small.trainer(epochs=1).run(checkpoint=file)


def test_the_curve_tells_every_step_of_a_short_training(small: Any) -> None:
    trainer = small.trainer(epochs=1, warm_up_steps=2)
    losses: list[float] = []
    trainer.run(lambda told: losses.append(told.loss))
    assert [point.step for point in trainer.curves] == list(range(1, trainer.step + 1))
    assert [point.loss for point in trainer.curves] == losses
    rates = [point.learning_rate for point in trainer.curves if point.learning_rate is not None]
    assert rates == [trainer.recipe.lr_schedule(step, trainer.steps) for step in range(trainer.step)]
    assert np.argmax(rates) == 1 and rates[0] == 0.5 * trainer.recipe.learning_rate
