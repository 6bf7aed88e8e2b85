"""The attention of interests to tokens, and the evidence scores of sessions."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch

from model.transformer.blocks import Attention
from model.transformer.config import NetworkConfig
from model.transformer.network import InterestTransformer
from model.transformer.publish import session_scores_BIS
from model.transformer.tokens import TokenBatch


@pytest.mark.parametrize("is_rotary", [False, True])
def test_attention_weights_reproduce_the_output(is_rotary: bool) -> None:
    torch.manual_seed(2)
    attention = Attention(
        NetworkConfig(width=8, heads=2, encoder_blocks=1, decoder_blocks=1, interests=1), is_rotary
    ).eval()
    read_BLD = torch.randn(2, 5, 8)
    bias_BHLL = torch.randn(2, 2, 5, 5).masked_fill(torch.ones(5, 5).triu(1).bool(), -float("inf"))
    bias_BHLL[1, :, 0] = -float("inf")  # a query that sees no token
    weights_BHLL = attention.weights_BHQL(read_BLD, read_BLD, bias_BHLL)
    value_BHLE = attention.key_value(read_BLD).chunk(2, -1)[1].view(2, 5, 2, 4).transpose(1, 2)
    by_weights_BLD = attention.out((weights_BHLL @ value_BHLE).transpose(1, 2).flatten(2))
    torch.testing.assert_close(by_weights_BLD, attention(read_BLD, read_BLD, bias_BHLL))
    assert not weights_BHLL[1, :, 0].any()


def test_an_interest_attends_only_to_tokens_before_its_cutoff(
    make_network: Callable[..., InterestTransformer], double_batch: TokenBatch
) -> None:
    network = make_network()
    attention_BCKL = network.interest_decoder.attention_BCKL(network.encode(double_batch), double_batch)
    assert attention_BCKL.shape == (*double_batch.cutoff_BC.shape, 3, double_batch.at_BL.shape[1])
    torch.testing.assert_close(attention_BCKL.sum(-1), torch.ones_like(attention_BCKL[..., 0]))
    is_late_BCL = double_batch.at_BL[:, None] >= double_batch.cutoff_BC[:, :, None]
    assert is_late_BCL.any() and not attention_BCKL.transpose(1, 2)[is_late_BCL[:, None].expand(-1, 3, -1, -1)].any()


def test_tokens_without_attention_do_not_change_the_interests(
    make_network: Callable[..., InterestTransformer], double_batch: TokenBatch
) -> None:
    """With one block, a strong bias hides the newest session."""
    network = make_network(decoder_blocks=1)
    with torch.no_grad():
        network.interest_decoder.stack.age.by_sessions.weight[0] = -1e9
    at_end = TokenBatch(**{field.name: getattr(double_batch, field.name) for field in fields(double_batch)})
    at_end = replace(at_end, cutoff_BC=double_batch.cutoff_BC[:, -1:])
    memory_BLD = network.encode(at_end)
    newest_B1 = at_end.session_BL.amax(1, keepdim=True)
    attention_BKL = network.interest_decoder.attention_BCKL(memory_BLD, at_end)[:, 0]
    is_newest_BKL = (at_end.session_BL == newest_B1)[:, None].expand_as(attention_BKL)
    assert not attention_BKL[is_newest_BKL].any()
    other_BLD = torch.where((at_end.session_BL == newest_B1)[..., None], memory_BLD + 1, memory_BLD)
    before, after = (
        network.interest_decoder(memory, at_end, network.tag_TD).vector_BCKD for memory in (memory_BLD, other_BLD)
    )
    torch.testing.assert_close(after, before)


def test_the_score_of_a_session_is_the_attention_weighted_by_responsibility() -> None:
    responsibility_BIK = torch.tensor([[[1.0, 0.0], [0.25, 0.75]]])
    attention_BKL = torch.tensor([[[0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 0.0, 1.0]]])
    score_BIS = session_scores_BIS(responsibility_BIK, attention_BKL, torch.tensor([[0, 0, 1, 2]]))
    torch.testing.assert_close(score_BIS, torch.tensor([[[0.75, 0.25, 0.0], [0.1875, 0.0625, 0.75]]]))
