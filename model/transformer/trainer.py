"""Trains one network: AdamW with warm-up and cosine, an average of the weights over time, exact resume."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.transformer.loss import LossWeights, loss_of
from model.transformer.network import InterestTransformer
from model.transformer.questions import Window, batches, epoch

STEADY_GRADIENT = 1.0  # longer gradients are cut to this length


@dataclass(frozen=True)
class Recipe:
    """How long and how fast; all that a repetition needs beside the data."""

    epochs: int = 8
    tokens_at_once: int = 4096
    learning_rate: float = 1e-3
    warm_up_steps: int = 50
    weight_decay: float = 0.05
    averaging: float = 0.995  # what the average keeps of itself a step
    seed: int = 1
    weights: LossWeights = field(default_factory=LossWeights)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Progress:
    """Where a training stands."""

    step: int
    steps: int
    loss: float


Told = Callable[[Progress], None]


class Trainer:
    """A network on its way. Two trainers of the same recipe, network and windows make the same weights, bit for bit."""

    def __init__(self, network: InterestTransformer, windows: Sequence[Window], recipe: Recipe) -> None:
        """Raises ValueError if there is nothing to learn from."""
        if not windows:
            raise ValueError("a network needs one window at least to learn from, found none: train through a later day")
        self.network, self.windows, self.recipe = network, windows, recipe
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)
        )
        self.step = 0
        # Other noise may mix other batches, so their number is that of the first epoch, which paces the cosine.
        random = np.random.default_rng([recipe.seed, 0])
        self.steps = recipe.epochs * sum(
            len(batches(window.lengths_U(), recipe.tokens_at_once, random)) for window in windows
        )

    def run(self, told: Told = lambda progress: None, checkpoint: Path | None = None) -> InterestTransformer:
        """Train to the end, from the checkpoint if it is there, and return the averaged network.

        checkpoint: written after each epoch, whole or not at all, so that a killed training goes on from it.
        """
        begun = self._resume(checkpoint) if checkpoint and checkpoint.exists() else 0
        self.network.train()
        for number in range(begun, self.recipe.epochs):
            random = np.random.default_rng([self.recipe.seed, number])
            for question in epoch(self.windows, self.recipe.tokens_at_once, random):
                torch.manual_seed(self.recipe.seed * 1_000_003 + self.step)  # of dropout, the same after a resume
                self._set_pace()
                answer = self.network(question.batch, question.path_BCTP)
                loss = loss_of(self.network, answer, question, self.recipe.weights)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), STEADY_GRADIENT)
                self.optimizer.step()
                self.step += 1
                self._take_into_average()
                told(Progress(self.step, self.steps, float(loss.detach())))
            if checkpoint:
                self._save(checkpoint, number + 1)
        return self.average

    def _set_pace(self) -> None:
        warm = min(1.0, (self.step + 1) / self.recipe.warm_up_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self.steps)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * warm * cosine

    @torch.no_grad()
    def _take_into_average(self) -> None:
        # The first steps are forgotten faster, else the start would stay in a short training's average.
        keep = min(self.recipe.averaging, (1 + self.step) / (10 + self.step))
        for mean, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(weight, 1 - keep)

    def _save(self, checkpoint: Path, epochs_done: int) -> None:
        state = {
            "epochs_done": epochs_done,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        partial = checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)

    def _resume(self, checkpoint: Path) -> int:
        state = torch.load(checkpoint, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return int(state["epochs_done"])
