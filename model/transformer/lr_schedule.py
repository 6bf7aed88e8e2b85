"""How fast a training goes at each step, and the average of its weights over time."""

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def lr_schedule(step: int, steps: int, warm_up_steps: int) -> float:
    """Return the share of the learning rate: a straight rise, under a cosine that falls to 0 at the end.

    step: from 0.
    """
    warm = min(1.0, (step + 1) / warm_up_steps)
    return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


class WeightAverage(Generic[Network]):
    """The exponential average of a network's weights, as a network of its own.

    Source: Polyak and Juditsky 1992, in the exponential form.
    """

    def __init__(self, network: Network, keep: float) -> None:
        """keep: what the average keeps of itself a step, 0 to 1."""
        self.keep, self.steps = keep, 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def take(self, network: Network) -> None:
        """Take the weights of one more step in."""
        # The first steps are forgotten faster, else the start would stay in a short training's average.
        keep = min(self.keep, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - keep)
        self.steps += 1
