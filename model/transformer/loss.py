"""The training loss: ranking of the window's tags, their probabilities, the next event's tags, and the return.

Shape letters: B users, C cutoffs, T tags, L tokens, G tags of a token, N rows (a user at a cutoff) or labels, K sampled
tags, J places in a tag sequence.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax, nll_loss

from model.transformer.config import LossWeights
from model.transformer.dataset import Batch
from model.transformer.network import InterestTransformer, NetworkOutput
from model.transformer.tokens import EVENT, PADDING

MAX_SEQUENCE_TAGS = 5  # of a window, for the tag sequence decoder


def total_loss(network: InterestTransformer, output: NetworkOutput, batch: Batch, weights: LossWeights) -> Tensor:
    """Return the weighted loss of a batch, a scalar: the mean over the users and cutoffs with labels.

    Labels are dense: all tags that the user touches in the window after the cutoff, not the next click.
    Source: PinnerFormer (Pancha et al. 2022), the dense all-action loss.
    Raises ValueError if `weights.sequence` is set and the network has no tag sequence decoder.
    """
    has_labels_BC = batch.has_labels_BC
    touches_NT = batch.touches_BCT[has_labels_BC]
    target_NT = torch.where(touches_NT > 0, touches_NT**weights.power, 0.0)
    affinity_NT = output.affinity_BCT[has_labels_BC]

    def mean_ranking_loss(score_NT: Tensor) -> Tensor:
        tags = score_NT.shape[-1]
        if tags > weights.max_softmax_tags:
            return sampled_ranking_loss(score_NT[None], target_NT[None], sample_tags(tags, weights.negatives))
        return ranking_loss(score_NT, target_NT) / (touches_NT.sum(-1) > 0).sum().clamp(min=1)

    # Summed over tags: most tags are not touched, so a mean would shrink as the number of tags grows.
    probability = (
        binary_cross_entropy_with_logits(affinity_NT, (touches_NT > 0).to(affinity_NT.dtype), reduction="none")
        .sum(-1)
        .mean()
    )
    returning = binary_cross_entropy_with_logits(output.return_BC[has_labels_BC], batch.has_returned_BC[has_labels_BC])
    total = (
        mean_ranking_loss(output.log_share_BCT[has_labels_BC])
        + weights.mixture * mean_ranking_loss(output.interests.log_mixture_BCT()[has_labels_BC])
        + weights.probability * probability
        + weights.returning * returning
        + weights.next_tags * next_tags_loss(network, output.memory_BLD, batch)
    )
    if weights.sequence:
        # The prior has a loss of its own, the ranking of the tags.
        prior_BCT = output.log_share_BCT.detach() if network.ranks_by_tag_sequence else None
        total = total + weights.sequence * sequence_loss(network, output.memory_BLD, batch, prior_BCT)
    return total


def ranking_loss(score_NT: Tensor, target_NT: Tensor) -> Tensor:
    """Return the softmax cross entropy, summed over rows; a row without targets contributes 0.

    target_NT: non-negative; normalised to sum to 1 in each row.
    """
    share_NT = target_NT / target_NT.sum(-1, keepdim=True).clamp(min=1)
    return -(share_NT * log_softmax(score_NT, -1)).sum()


def sample_tags(tags: int, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Return (K,) different tags, uniformly drawn. Raises ValueError unless `count` is from 1 to `tags`."""
    if not 0 < count <= tags:
        raise ValueError(f"cannot sample {count} negatives from {tags} tags: expected 1 to {tags}")
    return torch.randperm(tags, generator=generator)[:count]


def sampled_ranking_loss(score_BCT: Tensor, target_BCT: Tensor, negatives_K: Tensor) -> Tensor:
    """Return the mean softmax cross entropy over the users and cutoffs with a target; 0 if there is none.

    The softmax is over a user's touched tags and the sampled tags that the user did not touch. These stand for all
    untouched tags: log(untouched / sampled untouched) is added to the score of each, so the sum of exponentials is
    unbiased. No other tag gets a gradient.
    Source: importance sampling of the softmax (Bengio and Senécal 2008), here from the uniform distribution.

    target_BCT: 0 for a tag that was not touched, else its weight in the user's target.
    negatives_K: one sample for all users of the batch.
    """
    is_touched_BCT = target_BCT > 0
    touched_BC = is_touched_BCT.sum(-1)
    has_target_BC = touched_BC > 0
    is_hit_BCK = is_touched_BCT[..., negatives_K]
    sampled_BC = (~is_hit_BCK).sum(-1)
    correction_BC = torch.log((score_BCT.shape[-1] - touched_BC) / sampled_BC.clamp(min=1))
    negative_BCK = score_BCT[..., negatives_K] + correction_BC[..., None]
    scores = [
        score_BCT.masked_fill(~is_touched_BCT, -torch.inf),
        negative_BCK.masked_fill(is_hit_BCK, -torch.inf),
    ]
    # Rows without a target are left out, since their sum may be empty.
    total_N = torch.logsumexp(torch.cat(scores, -1)[has_target_BC], -1)
    weight_BC = target_BCT.sum(-1)
    mean_BC = torch.where(is_touched_BCT, score_BCT * target_BCT, 0.0).sum(-1)
    return (total_N - mean_BC[has_target_BC] / weight_BC[has_target_BC]).sum() / has_target_BC.sum().clamp(min=1)


def next_tags_loss(network: InterestTransformer, memory_BLD: Tensor, batch: Batch) -> Tensor:
    """Return the cross entropy of the tags of each event, predicted from the token before it; 0 without any tag."""
    tokens = batch.tokens
    tag_BLG = tokens.tag_BLG[:, 1:]
    is_label_BLG = (tag_BLG > 0) & (tokens.kind_BL[:, 1:, None] == EVENT) & (tokens.kind_BL[:, :-1, None] != PADDING)
    if not is_label_BLG.any():
        return memory_BLD.new_zeros(())
    index_N3 = torch.nonzero(is_label_BLG)
    memory_ND = memory_BLD[:, :-1][index_N3[:, 0], index_N3[:, 1]]
    logit_NT = memory_ND @ network.tag_TD.T + network.interest_decoder.tag_bias_T
    return cross_entropy(logit_NT, tag_BLG[is_label_BLG] - 1)


def sequence_loss(
    network: InterestTransformer, memory_BLD: Tensor, batch: Batch, prior_BCT: Tensor | None = None
) -> Tensor:
    """Return the cross entropy of each tag of the window given the tags before it; 0 without any tag.

    The tags are ordered by falling number of touches, ties by code. The true previous tags are the input: teacher
    forcing (Williams and Zipser 1989). prior_BCT: as in `TagSequenceDecoder.forward`.
    """
    touches_BCT, order_BCT = batch.touches_BCT.sort(dim=-1, descending=True, stable=True)
    touches_BCJ, tag_BCJ = touches_BCT[..., :MAX_SEQUENCE_TAGS], order_BCT[..., :MAX_SEQUENCE_TAGS]
    is_label_BCJ = (touches_BCJ > 0) & batch.has_labels_BC[..., None]
    if not is_label_BCJ.any():
        return memory_BLD.new_zeros(())
    log_tag_BCJT = network.log_tag_sequence(memory_BLD, batch.tokens, tag_BCJ[..., :-1], prior_BCT)
    return nll_loss(log_tag_BCJT[is_label_BCJ], tag_BCJ[is_label_BCJ])
