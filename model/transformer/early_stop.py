"""When a training has gone on for long enough, and which of its networks is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.transformer.config import TrainingConfig
from model.transformer.dataset import Source, batches
from model.transformer.loss import loss_of
from model.transformer.network import InterestTransformer
from model.transformer.tensors import on

Judge = Callable[[InterestTransformer], float]  # higher is better


@dataclass(frozen=True)
class LeastLoss:
    """A Judge: the loss per user on a source that nothing is learnt from, with its sign turned."""

    source: Source
    recipe: TrainingConfig

    @torch.no_grad()
    def __call__(self, network: InterestTransformer) -> float:
        device = next(network.parameters()).device
        total, users = 0.0, 0
        for user_B in batches(self.source.lengths_U(), self.recipe.tokens_at_once, answers=self.source.answers):
            question = on(self.source.question(user_B), device)
            answer = network(question.batch, question.stacked_BCTP)
            total += float(loss_of(network, answer, question, self.recipe.weights)) * len(user_B)
            users += len(user_B)
        return -total / users


class EarlyStop:
    """Keeps the weights that were judged best, and ends a training that has not bettered them for some epochs."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = -np.inf
        self.best_epochs = 0  # after so many epochs; 0 while none was judged
        self.epochs = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def is_over(self) -> bool:
        return self.epochs - self.best_epochs >= self.patience if self.weights else False

    def judged(self, epochs: int, judgement: float, average: InterestTransformer) -> None:
        """Note what the averaged network is worth after so many epochs. Raises ValueError if that is no number."""
        if np.isnan(judgement):
            raise ValueError(
                f"after {epochs} epochs the averaged network was judged nan, expected a number: the training has "
                f"diverged, or the judge divides by nothing; lower the recipe's learning_rate or give the judge users"
            )
        self.epochs = epochs
        if judgement > self.best:
            self.best, self.best_epochs = judgement, epochs
            self.weights = {name: weight.clone() for name, weight in average.state_dict().items()}

    def state(self) -> dict[str, Any]:
        return {
            "best": self.best, "best_epochs": self.best_epochs, "epochs": self.epochs, "weights": self.weights,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.best_epochs = float(state["best"]), int(state["best_epochs"])
        self.epochs, self.weights = int(state["epochs"]), state["weights"]
