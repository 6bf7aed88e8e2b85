"""The loss of a next-item network: the next item against all others.

Shape letters: R real places of a batch, D width, V items, P places of a part.
"""

from typing import Any

import torch
from torch import Tensor

PLACES_AT_ONCE = 128  # the scores of so many places lie in the processor's cache


def next_item_loss(expected_RD: Tensor, target_R: Tensor, item_VD: Tensor) -> Tensor:
    """Return the mean cross entropy of the targets among all items.

    The gradient is computed with the loss, for a part of the places at a time, so that scores of all places by all
    items are never in memory together. That takes two thirds of the time of `cross_entropy` and its gradient.
    """
    loss: Tensor = _CrossEntropy.apply(expected_RD, target_R, item_VD)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, expected_RD: Tensor, target_R: Tensor, item_VD: Tensor) -> Tensor:
        loss, gradient_RD, gradient_VD = expected_RD.new_zeros(()), [], torch.zeros_like(item_VD)
        for expected_PD, target_P in zip(
            expected_RD.split(PLACES_AT_ONCE), target_R.split(PLACES_AT_ONCE), strict=True
        ):
            log_p_PV = torch.log_softmax(expected_PD @ item_VD.T, dim=-1)
            loss -= log_p_PV.gather(1, target_P[:, None]).sum()
            surplus_PV = log_p_PV.exp_()
            surplus_PV[torch.arange(len(target_P)), target_P] -= 1.0
            gradient_RD.append(surplus_PV @ item_VD)
            gradient_VD.addmm_(surplus_PV.T, expected_PD)
        context.save_for_backward(torch.cat(gradient_RD) / len(target_R), gradient_VD / len(target_R))
        return loss / len(target_R)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor]:
        gradient_RD, gradient_VD = context.saved_tensors
        return gradients[0] * gradient_RD, None, gradients[0] * gradient_VD
