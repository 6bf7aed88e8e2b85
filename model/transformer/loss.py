"""What the network is taught. Shape letters: B users, C cuts, T tags, L tokens, G tags of a token."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from model.transformer.layout import EVENT, PADDING
from model.transformer.network import Answer, InterestTransformer
from model.transformer.questions import Question


@dataclass(frozen=True)
class LossWeights:
    """What each part counts beside the ranking of the window's tags, which counts 1."""

    probability: float = 0.3  # binary cross entropy of every tag, which makes affinities probabilities
    mixture: float = 0.5  # the softmax of the interests alone, without paths
    next_tags: float = 0.3  # what each token of the encoder says of the tags of the next event
    returning: float = 0.1


def loss_of(network: InterestTransformer, answer: Answer, question: Question, weights: LossWeights) -> Tensor:
    """Return the weighted loss of a batch, a scalar.

    Targets are dense: all tags that the user touches in the window after the cut, not the next click.
    Source: PinnerFormer (Pancha et al. 2022), the dense all-action loss.
    """
    touched_BCT = question.touched_BCT
    share_BCT = touched_BCT / touched_BCT.sum(-1, keepdim=True).clamp(min=1)
    judged = (touched_BCT.sum(-1) > 0).sum().clamp(min=1)
    ranking = -(share_BCT * log_softmax(answer.affinity_BCT, -1)).sum() / judged
    mixture = -(share_BCT * answer.interests.log_mixture_BCT()).sum() / judged
    # Summed over the tags, most of which nobody touches, so that it does not shrink as the catalogue grows.
    probability = binary_cross_entropy_with_logits(answer.affinity_BCT, touched_BCT, reduction="none").sum(-1).mean()
    returning = binary_cross_entropy_with_logits(answer.return_BC, question.has_returned_BC)
    return (
        ranking
        + weights.mixture * mixture
        + weights.probability * probability
        + weights.returning * returning
        + weights.next_tags * next_tags_loss(network, answer.memory_BLD, question)
    )


def next_tags_loss(network: InterestTransformer, memory_BLD: Tensor, question: Question) -> Tensor:
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
