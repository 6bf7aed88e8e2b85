"""The ranking loss of a large catalogue: touched tags against a sample that all users of a batch share.

Shape letters: B users, C cuts, T tags of the vocabulary, K sampled tags.
"""

import torch
from torch import Tensor


def drawn(tags: int, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Return (K,) different tags, each as likely as any other. Raises ValueError if there are fewer than `count`."""
    if not 0 < count <= tags:
        raise ValueError(f"{count} negatives asked for, {tags} tags known: draw from 1 to {tags}, or take them all")
    return torch.randperm(tags, generator=generator)[:count]


def sampled_ranking_loss(affinity_BCT: Tensor, touched_BCT: Tensor, negatives_K: Tensor) -> Tensor:
    """Return the mean cross entropy of the touched tags, over the users and cuts that have any; 0 where none has.

    touched_BCT: 0 for a tag that was not touched, else how much of the user's share it gets.

    The softmax is over a user's touched tags and those of the sample that were not touched, which stand for all
    untouched ones: each counts log(untouched / sampled untouched) more, so that the sum of the exponentials is right
    on average. No other tag gets a gradient.

    Source: Bengio and Senécal 2008, importance sampling of the softmax, here from the uniform distribution.
    """
    is_touched_BCT = touched_BCT > 0
    touched_BC = is_touched_BCT.sum(-1)
    is_asked_BC = touched_BC > 0
    is_hit_BCK = is_touched_BCT[..., negatives_K]
    sampled_BC = (~is_hit_BCK).sum(-1)
    stands_for_BC = torch.log((affinity_BCT.shape[-1] - touched_BC) / sampled_BC.clamp(min=1))
    negative_BCK = affinity_BCT[..., negatives_K] + stands_for_BC[..., None]
    strengths = [
        affinity_BCT.masked_fill(~is_touched_BCT, -torch.inf),
        negative_BCK.masked_fill(is_hit_BCK, -torch.inf),
    ]
    # Who touched nothing is not asked, and would have nothing to sum.
    total_N = torch.logsumexp(torch.cat(strengths, -1)[is_asked_BC], -1)
    wanted_BC = touched_BCT.sum(-1)
    mean_N = torch.where(is_touched_BCT, affinity_BCT * touched_BCT, 0.0).sum(-1)[is_asked_BC] / wanted_BC[is_asked_BC]
    return (total_N - mean_N).sum() / is_asked_BC.sum().clamp(min=1)
