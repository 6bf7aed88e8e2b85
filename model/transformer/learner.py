"""Takes the steps of a training: on one process or as one rank of several, and averages the weights over time."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.arrays import Ints
from model.transformer.layout import EVENT
from model.transformer.loss import loss_of
from model.transformer.machine import Machine
from model.transformer.network import InterestTransformer
from model.transformer.pace import WeightAverage
from model.transformer.questions import Question
from model.transformer.recipe import Recipe
from model.transformer.source import Source, share
from model.transformer.tensors import leaves, moved, rebuilt

STEADY_GRADIENT = 1.0  # longer gradients are cut to this length


class Lesson(nn.Module):
    """A network and what it is taught, as one module: ranks average the gradients of what happens inside its call."""

    def __init__(self, network: InterestTransformer, recipe: Recipe) -> None:
        super().__init__()
        self.network, self.weights = network, recipe.weights

    def forward(self, of_name: dict[str, Tensor]) -> Tensor:
        """Return the loss of the question that has these leaves, a scalar."""
        question = rebuilt(Question, of_name)
        return loss_of(self.network, self.network(question.batch, question.path_BCTP), question, self.weights)


@dataclass(frozen=True)
class Taken:
    """What came of a step."""

    loss: float  # of this rank's share
    learning_rate: float
    events: int  # that all ranks read for it


class Learner:
    """A network, its average over time and its optimizer, on the device of the machine."""

    def __init__(self, network: InterestTransformer, recipe: Recipe, machine: Machine) -> None:
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
        self.lesson, self.stepper = self.fabric.setup(Lesson(network, recipe), self.optimizer)
        self.over_time = WeightAverage(network, recipe.averaging)

    @property
    def average(self) -> InterestTransformer:
        """The network of the averaged weights."""
        return self.over_time.network

    @property
    def leads(self) -> bool:
        """Whether this is the rank that judges and writes; so is the only one."""
        return bool(self.fabric.is_global_zero)

    def take(self, source: Source, user_B: Ints, step: int, steps: int) -> Taken:
        """Learn from this rank's share of the users."""
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        told = leaves(source.question(share(user_B, rank, ranks)))
        events = int((told["batch.kind_BL"] == EVENT).sum()) * ranks
        learning_rate = self.recipe.pace(step, steps)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        torch.manual_seed(self.recipe.noise(step, rank))
        loss: Tensor = self.lesson(moved(told, self.fabric.device))
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
