"""The learning rate schedule, and the moving average of the weights."""

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def lr_schedule(step: int, steps: int, warmup_steps: int) -> float:
    """Return the factor of the learning rate: a linear warm-up times a cosine that falls to 0 at the last step.

    Source: cosine annealing without restarts (Loshchilov and Hutter 2017).
    step: from 0.
    """
    warmup = min(1.0, (step + 1) / warmup_steps)
    return warmup * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


class WeightAverage(Generic[Network]):
    """An exponential moving average of the weights of a network, held in a copy of it.

    Source: Polyak and Juditsky 1992, in the exponential form.
    """

    def __init__(self, network: Network, decay: float) -> None:
        """decay: the weight of the previous average in each step, 0 to 1."""
        self.decay, self.steps = decay, 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Add the weights after one more step."""
        # A smaller decay in the first steps, so that the initial weights vanish from the average of a short training.
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
        self.steps += 1
