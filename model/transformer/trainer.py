"""Draws the curves of a training as it goes; a resumed one goes on where the killed one stood.

Takes the steps of a training: on one process or as one rank of several, and averages the weights over time.

A training from its first step to its last: epochs, checkpoints to go on from.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.data.arrays import Ints
from model.interfaces import CurvePoint
from model.transformer.checkpoint import Checkpoint, Fingerprint, fingerprint
from model.transformer.config import TrainingConfig
from model.transformer.dataset import Batch, TrainingSet, plan, share
from model.transformer.distributed import Runtime
from model.transformer.loss import loss_of
from model.transformer.lr_schedule import WeightAverage
from model.transformer.network import InterestTransformer
from model.transformer.progress import Meter, StepCallback, no_progress
from model.transformer.tensors import leaves, moved, rebuilt
from model.transformer.tokens import EVENT

POINTS = 200  # of the loss, in a whole training


class TrainingCurve:
    """Points so far, and the losses since the last of them."""

    def __init__(self, steps: int) -> None:
        self.every = max(1, steps // POINTS)
        self.points: list[CurvePoint] = []
        self.losses: list[float] = []

    def trained(self, step: int, loss: float, learning_rate: float) -> None:
        self.losses.append(loss)
        if step % self.every == 0:
            self.points.append(CurvePoint(step, sum(self.losses) / len(self.losses), learning_rate))
            self.losses = []

    def state(self) -> dict[str, Any]:
        return {"points": [asdict(point) for point in self.points], "losses": list(self.losses)}

    def restore(self, state: dict[str, Any]) -> None:
        self.points = [CurvePoint(**point) for point in state["points"]]
        self.losses = list(state["losses"])


STEADY_GRADIENT = 1.0  # longer gradients are cut to this length


class LossModule(nn.Module):
    """A network and what it is taught, as one module: ranks average the gradients of what happens inside its call."""

    def __init__(self, network: InterestTransformer, recipe: TrainingConfig) -> None:
        super().__init__()
        self.network, self.weights = network, recipe.weights

    def forward(self, of_name: dict[str, Tensor]) -> Tensor:
        """Return the loss of the question that has these leaves, a scalar."""
        question = rebuilt(Batch, of_name)
        return loss_of(self.network, self.network(question.batch, question.stacked_BCTP), question, self.weights)


@dataclass(frozen=True)
class Taken:
    """What came of a step."""

    loss: float  # of this rank's share
    learning_rate: float
    events: int  # that all ranks read for it


class Learner:
    """A network, its average over time and its optimizer, on the device of the machine."""

    def __init__(self, network: InterestTransformer, recipe: TrainingConfig, machine: Runtime) -> None:
        self.network, self.recipe = network, recipe
        self.fabric = machine.fabric()
        machine.readied(network)
        self.optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.window, self.stepper = self.fabric.setup(LossModule(network, recipe), self.optimizer)
        self.over_time = WeightAverage(network, recipe.averaging)

    @property
    def average(self) -> InterestTransformer:
        """The network of the averaged weights."""
        return self.over_time.network

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes; so is the only one."""
        return bool(self.fabric.is_global_zero)

    def take(self, source: TrainingSet, user_B: Ints, step: int, steps: int) -> Taken:
        """Learn from this rank's share of the users."""
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        told = leaves(source.question(share(user_B, rank, ranks)))
        events = int((told["batch.kind_BL"] == EVENT).sum()) * ranks
        learning_rate = self.recipe.lr_schedule(step, steps)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        torch.manual_seed(self.recipe.noise(step, rank))
        loss: Tensor = self.window(moved(told, self.fabric.device))
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), STEADY_GRADIENT)
        self.stepper.step()
        self.over_time.take(self.network)
        return Taken(float(loss.detach()), learning_rate, events)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "averaged_steps": self.over_time.steps,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.over_time.steps = state["averaged_steps"]


class Trainer:
    """A network on its way. Two trainers of the same recipe, network and sources make the same weights, bit for bit."""

    def __init__(
        self,
        network: InterestTransformer,
        sources: Sequence[TrainingSet],
        recipe: TrainingConfig,
        machine: Runtime | None = None,
    ) -> None:
        """machine: None for one process on one CPU. Of several ranks each learns from its share of every batch.

        Raises ValueError if there is nothing to learn from.
        """
        if not sources:
            raise ValueError("a network needs one window at least to learn from, found none: train through a later day")
        self.network, self.sources, self.recipe = network, sources, recipe
        self.learner = Learner(network, recipe, machine or Runtime())
        self.epoch = self.batch = self.step = 0  # epochs done, batches done of the next one, batches done over all
        # Other noise may mix other batches, so their number is that of the first epoch, which paces the cosine.
        self.steps = recipe.epochs * len(self._plan(0))
        self.curve = TrainingCurve(self.steps)

    @property
    def curves(self) -> Sequence[CurvePoint]:
        return self.curve.points

    def run(self, told: StepCallback = no_progress, checkpoint: Checkpoint | Path | None = None) -> InterestTransformer:
        """Train to the end, from the checkpoint if it is there; return the averaged network.

        checkpoint: written when it is due and after each epoch, so that a killed training goes on from it: with as
        many ranks as before to the same weights, bit for bit. Ranks on several nodes need it on a disk that all see.

        Raises InputError if the checkpoint is of another training.
        """
        kept = Checkpoint(checkpoint) if isinstance(checkpoint, Path) else checkpoint
        of = fingerprint(self.network, self.sources, self.recipe) if kept else {}
        if kept:
            self._resume(kept, of)
        meter = Meter(self.step, self.steps)
        self.network.train()
        while self.epoch < self.recipe.epochs:
            for source, user_B in self._plan(self.epoch)[self.batch :]:
                taken = self.learner.take(source, user_B, self.step, self.steps)
                self.step, self.batch = self.step + 1, self.batch + 1
                self.curve.trained(self.step, taken.loss, taken.learning_rate)
                told(meter.progress(self.step, taken.loss, taken.events))
                if kept and kept.is_due:
                    self._save(kept, of)
            self.epoch, self.batch = self.epoch + 1, 0
            if kept:
                self._save(kept, of)
        return self.learner.average.cpu()

    def _plan(self, epoch: int) -> list[tuple[TrainingSet, Ints]]:
        return plan(self.sources, self.recipe.tokens_at_once, np.random.default_rng([self.recipe.seed, epoch]))

    def _save(self, kept: Checkpoint, of: Fingerprint) -> None:
        if self.learner.leads:
            parts = {name: getattr(self, name).state() for name in ("learner", "curve")}
            kept.write(of, {"stands": [self.epoch, self.batch, self.step], **parts})

    def _resume(self, kept: Checkpoint, of: Fingerprint) -> None:
        state = kept.read(of)
        if state:
            self.epoch, self.batch, self.step = state["stands"]
            for name in ("learner", "curve"):
                getattr(self, name).restore(state[name])
