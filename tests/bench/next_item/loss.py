"""The loss of a next-item network: the next item against a sample of all others.

Shape letters: R real places of a batch, D width, V items, K negatives.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def next_item_loss(expected_RD: Tensor, target_R: Tensor, item_VD: Tensor, negative_K: Tensor) -> Tensor:
    """Return the mean cross entropy of the targets, the other items estimated from negatives that the batch shares.

    negative_K: different items, each as likely as any other to be among them. A target among them does not count
    against itself. The rest stand for all other items, so that on average the sum over negatives is the sum over all;
    with every item a negative the loss is the full cross entropy.
    Source: sampled softmax with its correction (Bengio and Senécal 2008), here log((V-1)/K).
    """
    right_R = (expected_RD * item_VD[target_R]).sum(-1)
    is_target_RK = target_R[:, None] == negative_K
    wrong_RK = (expected_RD @ item_VD[negative_K].T).masked_fill(is_target_RK, -math.inf)
    others_R = len(negative_K) - is_target_RK.sum(-1)
    correction_R = math.log(len(item_VD) - 1) - torch.log(others_R.to(wrong_RK.dtype))
    return softplus(torch.logsumexp(wrong_RK, -1) + correction_R - right_R).mean()


def shared_negatives(items: int, count: int, random: torch.Generator) -> Tensor:
    """Return `count` different items, or all where there are no more."""
    return torch.randperm(items, generator=random)[:count]
