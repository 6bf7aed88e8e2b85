"""Parts of the loss, compared with values by hand on two users and three tags."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model.data.history import history_of
from model.transformer.config import LossWeights, NetworkConfig
from model.transformer.dataset import Batch
from model.transformer.loss import next_tags_loss, total_loss
from model.transformer.network import InterestTransformer
from model.transformer.tokens import END, EVENT, PADDING, START, Vocabulary, token_batch, tokenize

WIDTH = 8
RANKING_ALONE = LossWeights(probability=0.0, mixture=0.0, next_tags=0.0, returning=0.0)


@pytest.fixture
def batch(sequences_of: Callable[..., Any]) -> Batch:
    """Ann has two sessions, the first of three events: one with two tags, one with none, one with one. Bob has one."""
    history = history_of(
        sequences_of(
            [
                ("ann", "2026-03-02 09:00", "cups jazz"),
                ("ann", "2026-03-02 09:10", ""),
                ("ann", "2026-03-02 09:20", "tea"),
                ("ann", "2026-03-04 18:00", "jazz"),
                ("bob", "2026-03-03 10:00", "tea"),
            ]
        )
    )
    tokens = tokenize(history, Vocabulary.of(history))
    batch = token_batch(tokens, np.array([0, 1]), [[int(history.at_E.max()) + 1]] * 2, max_tokens=20)
    assert batch.kind_BL.tolist() == [
        [START, EVENT, EVENT, EVENT, END, START, EVENT, END],
        [START, EVENT, END, *[PADDING] * 5],
    ]
    return Batch(
        replace(batch, number_BLF=batch.number_BLF.double()),
        stacked_BCTP=torch.empty(2, 1, 3, 0),
        has_labels_BC=torch.ones(2, 1, dtype=torch.bool),
        touches_BCT=torch.zeros(2, 1, 3),
        has_returned_BC=torch.zeros(2, 1, dtype=torch.float64),
    )


@pytest.fixture
def network() -> InterestTransformer:
    torch.manual_seed(5)
    config = NetworkConfig(width=WIDTH, heads=2, encoder_blocks=1, decoder_blocks=1, interests=2)
    made = InterestTransformer(config, items=1, tags=3, actions=1).double().eval()
    with torch.no_grad():
        made.interest_decoder.tag_bias_T.copy_(torch.tensor([0.5, -0.25, 1.0]))
    return made


def test_each_token_predicts_the_tags_of_the_next_event(network: InterestTransformer, batch: Batch) -> None:
    memory_BLD = torch.randn(2, 8, WIDTH).double().requires_grad_()
    cups, jazz, tea = 0, 1, 2
    labels = [(0, 0, cups), (0, 0, jazz), (0, 2, tea), (0, 5, jazz), (1, 0, tea)]  # user, position, next tag
    by_hand = [
        -(memory_BLD[user, position] @ network.tag_TD.T + network.interest_decoder.tag_bias_T).log_softmax(-1)[tag]
        for user, position, tag in labels
    ]

    loss = next_tags_loss(network, memory_BLD, batch)

    torch.testing.assert_close(loss, sum(by_hand) / len(by_hand))
    (gradient_BLD,) = torch.autograd.grad(loss, memory_BLD)
    has_gradient = {tuple(index) for index in torch.nonzero(gradient_BLD.abs().sum(-1)).tolist()}
    assert has_gradient == {(user, position) for user, position, _ in labels}


# For the touches [3, 1, 0]: the target shares of the first and the second tag.
@pytest.mark.parametrize(("power", "shares"), [(0.0, (1 / 2, 1 / 2)), (1.0, (3 / 4, 1 / 4)), (2.0, (9 / 10, 1 / 10))])
def test_the_target_of_a_tag_is_its_number_of_touches_to_a_power(
    network: InterestTransformer, batch: Batch, power: float, shares: tuple[float, float]
) -> None:
    """Bob touched no tag, so he is not in the mean."""
    log_share_BCT = torch.tensor([[[0.2, -0.5, 1.0]], [[3.0, 0.0, 0.0]]]).double()
    touches_BCT = torch.tensor([[[3.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]])
    labeled = replace(batch, touches_BCT=touches_BCT)
    output = replace(network(labeled.tokens), log_share_BCT=log_share_BCT)

    loss = total_loss(network, output, labeled, replace(RANKING_ALONE, power=power))

    total = np.log(np.exp(0.2) + np.exp(-0.5) + np.exp(1.0))
    assert float(loss.detach()) == pytest.approx(shares[0] * (total - 0.2) + shares[1] * (total + 0.5))
