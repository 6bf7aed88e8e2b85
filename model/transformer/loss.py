"""The ranking loss of a large catalogue: touched tags against a sample that all users of a batch share.

Shape letters: B users, C cuts, T tags of the vocabulary, K sampled tags.

What the network is taught.

Shape letters: B users, C cuts, T tags, L tokens, G tags of a token, J places of a sequence.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from model.transformer.config import LossWeights
from model.transformer.dataset import Batch
from model.transformer.network import Answer, InterestTransformer
from model.transformer.tokens import EVENT, PADDING


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


MOST_IN_SEQUENCE = 5  # tags of a window that are taught one by one


def loss_of(network: InterestTransformer, answer: Answer, question: Batch, weights: LossWeights) -> Tensor:
    """Return the weighted loss of a batch, a scalar: means over the users and cuts that are asked.

    Targets are dense: all tags that the user touches in the window after the cut, not the next click.
    Source: PinnerFormer (Pancha et al. 2022), the dense all-action loss.
    """
    is_asked_BC = question.is_asked_BC
    touched_NT = question.touched_BCT[is_asked_BC]
    wanted_NT = torch.where(touched_NT > 0, touched_NT**weights.power, 0.0)
    affinity_NT = answer.affinity_BCT[is_asked_BC]
    log_share_NT = answer.log_share_BCT[is_asked_BC]

    def ranked(told_NT: Tensor) -> Tensor:
        tags = told_NT.shape[-1]
        if tags > weights.most_tags:
            return sampled_ranking_loss(told_NT[None], wanted_NT[None], drawn(tags, weights.negatives))
        return ranking_loss(told_NT, wanted_NT) / (touched_NT.sum(-1) > 0).sum().clamp(min=1)

    # Summed over the tags, most of which nobody touches, so that it does not shrink as the catalogue grows.
    probability = (
        binary_cross_entropy_with_logits(affinity_NT, (touched_NT > 0).to(affinity_NT.dtype), reduction="none")
        .sum(-1)
        .mean()
    )
    returning = binary_cross_entropy_with_logits(answer.return_BC[is_asked_BC], question.has_returned_BC[is_asked_BC])
    total = (
        ranked(log_share_NT)
        + weights.mixture * ranked(answer.interests.log_mixture_BCT()[is_asked_BC])
        + weights.probability * probability
        + weights.returning * returning
        + weights.next_tags * next_tags_loss(network, answer.memory_BLD, question)
    )
    if weights.sequence:
        total = total + weights.sequence * sequence_loss(network, answer.memory_BLD, question)
    return total


def ranking_loss(told_NT: Tensor, wanted_NT: Tensor) -> Tensor:
    """Return the softmax cross entropy of each row's shares, summed over the rows; nothing for a row of zeros."""
    share_NT = wanted_NT / wanted_NT.sum(-1, keepdim=True).clamp(min=1)
    return -(share_NT * log_softmax(told_NT, -1)).sum()


def next_tags_loss(network: InterestTransformer, memory_BLD: Tensor, question: Batch) -> Tensor:
    """Return the cross entropy of the tags of each event, told by the token before it; 0 where no event has tags."""
    batch = question.batch
    tag_BLG = batch.tag_BLG[:, 1:]
    is_told_BLG = (tag_BLG > 0) & (batch.kind_BL[:, 1:, None] == EVENT) & (batch.kind_BL[:, :-1, None] != PADDING)
    if not is_told_BLG.any():
        return memory_BLD.new_zeros(())
    place_N3 = torch.nonzero(is_told_BLG)
    told_ND = memory_BLD[:, :-1][place_N3[:, 0], place_N3[:, 1]]
    logit_NT = told_ND @ network.tag_TD.T + network.interests.tag_bias_T
    return torch.nn.functional.cross_entropy(logit_NT, tag_BLG[is_told_BLG] - 1)


def sequence_loss(network: InterestTransformer, memory_BLD: Tensor, question: Batch) -> Tensor:
    """Return the cross entropy of each tag of the window, told after those before it; 0 where nobody touched any.

    The tags stand by falling number of touches, equals by code. The truth goes before each tag, not what the network
    would have emitted: teacher forcing (Williams and Zipser 1989).
    """
    touches_BCT, order_BCT = question.touched_BCT.sort(dim=-1, descending=True, stable=True)
    touches_BCJ, tag_BCJ = touches_BCT[..., :MOST_IN_SEQUENCE], order_BCT[..., :MOST_IN_SEQUENCE]
    is_told_BCJ = (touches_BCJ > 0) & question.is_asked_BC[..., None]
    if not is_told_BCJ.any():
        return memory_BLD.new_zeros(())
    log_tag_BCJT = network.tag_sequence(memory_BLD, question.batch, network.tag_TD, tag_BCJ[..., :-1])
    return torch.nn.functional.nll_loss(log_tag_BCJT[is_told_BCJ], tag_BCJ[is_told_BCJ])
