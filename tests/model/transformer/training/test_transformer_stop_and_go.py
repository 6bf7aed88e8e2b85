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
from model.transformer.early_stop import EarlyStop, LeastLoss
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
    """Stopped twice, once within an epoch, with a judge beside it; the curves are whole as well."""
    judge = LeastLoss(small.judged, small.recipe)
    whole = small.trainer(judge)
    weights = whole.run().state_dict()
    file = tmp_path / "training.pt"
    for step in (3, whole.steps // 2):
        with pytest.raises(Killed):
            small.trainer(judge).run(kill_at(step), Checkpoint(file, every_seconds))
    resumed = small.trainer(judge)
    first_told: list[int] = []
    assert same_weights(
        resumed.run(lambda told: first_told.append(told.step), Checkpoint(file, 1e9)).state_dict(), weights
    )
    assert resumed.curves == whole.curves and resumed.chosen_epochs == whole.chosen_epochs
    in_epoch = whole.steps // whole.recipe.epochs
    assert first_told[0] == whole.steps // 2 if every_seconds == 0 else first_told[0] % in_epoch == 1


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
        Trainer(small.network(), [small.judged], recipe).run(checkpoint=file)
    with pytest.raises(InputError, match="judge is NoneType there and LeastLoss here"):
        small.trainer(LeastLoss(small.judged, recipe), epochs=1).run(checkpoint=file)
    wider = small.network()
    wider.encoder.size = replace(wider.encoder.size, dropout=0.5)
    with pytest.raises(InputError, match=r"size\.dropout is 0\.2 there and 0\.5 here"):
        Trainer(wider, [small.taught], recipe).run(checkpoint=file)


def test_a_file_that_is_no_checkpoint_is_refused(small: Any, tmp_path: Path) -> None:
    file = tmp_path / "training.pt"
    other = tmp_path / "other.pt"
    torch.save({"weights": torch.ones(2)}, other)
    for found in (b"", b"something else", other.read_bytes()[:200], other.read_bytes()):
        file.write_bytes(found)
        with pytest.raises(InputError, match=r"cannot be read as a checkpoint .*remove the file to begin anew"):
            small.trainer(epochs=1).run(checkpoint=file)


def test_it_stops_when_the_judge_has_seen_nothing_better_and_keeps_the_best(
    small: Any, same_weights: Callable[..., bool]
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    worth = iter([1.0, 3.0, 2.0, 2.0, 9.0])

    def judge(network: Any) -> float:
        assert not network.training
        seen.append({name: weight.clone() for name, weight in network.state_dict().items()})
        return next(worth)

    trainer = small.trainer(judge, epochs=5)
    kept = trainer.run().state_dict()
    assert (trainer.chosen_epochs, trainer.epoch, len(seen)) == (2, 4, 4)
    assert same_weights(kept, seen[1]) and not same_weights(kept, seen[3])
    assert [point.judgement for point in trainer.curves if point.judgement is not None] == [1.0, 3.0, 2.0, 2.0]
    worth = iter([1.0, 3.0, 2.0, 2.0, 9.0])
    patient = small.trainer(judge, epochs=5, patience=3)
    patient.run()
    assert (patient.chosen_epochs, patient.epoch) == (5, 5)
    unjudged = small.trainer(epochs=2)
    unjudged.run()
    assert unjudged.chosen_epochs == 2


def test_a_judgement_that_is_no_number_ends_the_training(small: Any) -> None:
    with pytest.raises(ValueError, match=r"after 1 epochs the averaged network was judged nan.*lower the recipe's"):
        small.trainer(lambda network: float("nan")).run()
    assert not EarlyStop(patience=1).is_over


def test_the_judge_of_losses_is_the_loss_of_a_user_with_its_sign_turned(small: Any) -> None:
    judge = LeastLoss(small.judged, small.recipe)
    trainer = small.trainer(judge)
    trainer.run()
    told = [point.judgement for point in trainer.curves if point.judgement is not None]
    assert told[0] < told[-1] < 0
    at_once = LeastLoss(small.judged, replace(small.recipe, tokens_at_once=10**6))
    network = small.network().eval()
    assert judge(network) == pytest.approx(at_once(network), rel=0.05)


def test_the_curve_tells_every_step_of_a_short_training(small: Any) -> None:
    trainer = small.trainer(epochs=1, warm_up_steps=2)
    losses: list[float] = []
    trainer.run(lambda told: losses.append(told.loss))
    assert [point.step for point in trainer.curves] == list(range(1, trainer.step + 1))
    assert [point.loss for point in trainer.curves] == losses
    rates = [point.learning_rate for point in trainer.curves if point.learning_rate is not None]
    assert rates == [trainer.recipe.lr_schedule(step, trainer.steps) for step in range(trainer.step)]
    assert np.argmax(rates) == 1 and rates[0] == 0.5 * trainer.recipe.learning_rate
