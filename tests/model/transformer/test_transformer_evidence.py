"""What the interests rest on, as it is told."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch

from model.transformer.blocks import Attention
from model.transformer.config import NetworkConfig
from model.transformer.network import InterestTransformer
from model.transformer.publish import score_of_sessions_BIS
from model.transformer.tokens import TokenBatch


@pytest.mark.parametrize("is_rotary", [False, True])
def test_attention_is_told_as_it_is_paid(is_rotary: bool) -> None:
    torch.manual_seed(2)
    attention = Attention(
        NetworkConfig(width=8, heads=2, encoder_blocks=1, decoder_blocks=1, interests=1), is_rotary
    ).eval()
    read_BLD = torch.randn(2, 5, 8)
    bias_BHLL = torch.randn(2, 2, 5, 5).masked_fill(torch.ones(5, 5).triu(1).bool(), -float("inf"))
    bias_BHLL[1, :, 0] = -float("inf")  # a query that sees nothing
    weights_BHLL = attention.weights_BHQL(read_BLD, read_BLD, bias_BHLL)
    value_BHLE = attention.key_value(read_BLD).chunk(2, -1)[1].view(2, 5, 2, 4).transpose(1, 2)
    by_weights_BLD = attention.out((weights_BHLL @ value_BHLE).transpose(1, 2).flatten(2))
    torch.testing.assert_close(by_weights_BLD, attention(read_BLD, read_BLD, bias_BHLL))
    assert not weights_BHLL[1, :, 0].any()


def test_every_interest_rests_on_tokens_before_its_cut(
    make_network: Callable[..., InterestTransformer], asked: TokenBatch
) -> None:
    network = make_network()
    told_BCKL = network.interests.attention_BCKL(network.encode(asked), asked)
    assert told_BCKL.shape == (*asked.cutoff_BC.shape, 3, asked.at_BL.shape[1])
    torch.testing.assert_close(told_BCKL.sum(-1), torch.ones_like(told_BCKL[..., 0]))
    is_late_BCL = asked.at_BL[:, None] >= asked.cutoff_BC[:, :, None]
    assert is_late_BCL.any() and not told_BCKL.transpose(1, 2)[is_late_BCL[:, None].expand(-1, 3, -1, -1)].any()


def test_what_is_looked_at_is_what_changes_the_interests(
    make_network: Callable[..., InterestTransformer], asked: TokenBatch
) -> None:
    """With one block and one head's worth of bias, a token hidden from attention is told as 0."""
    network = make_network(decoder_blocks=1)
    with torch.no_grad():
        network.interests.stack.age.by_sessions.weight[0] = -1e9
    at_end = TokenBatch(**{field.name: getattr(asked, field.name) for field in fields(asked)})
    at_end = replace(at_end, cutoff_BC=asked.cutoff_BC[:, -1:])
    memory_BLD = network.encode(at_end)
    newest_B1 = at_end.session_BL.amax(1, keepdim=True)
    told_BKL = network.interests.attention_BCKL(memory_BLD, at_end)[:, 0]
    is_newest_BKL = (at_end.session_BL == newest_B1)[:, None].expand_as(told_BKL)
    assert not told_BKL[is_newest_BKL].any()
    other_BLD = torch.where((at_end.session_BL == newest_B1)[..., None], memory_BLD + 1, memory_BLD)
    before, after = (
        network.interests(memory, at_end, network.tag_TD).vector_BCKD for memory in (memory_BLD, other_BLD)
    )
    torch.testing.assert_close(after, before)


def test_a_session_is_as_strong_as_its_tokens_for_the_interests_that_speak_for_the_tag() -> None:
    responsibility_BIK = torch.tensor([[[1.0, 0.0], [0.25, 0.75]]])
    attention_BKL = torch.tensor([[[0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 0.0, 1.0]]])
    told = score_of_sessions_BIS(responsibility_BIK, attention_BKL, torch.tensor([[0, 0, 1, 2]]))
    torch.testing.assert_close(told, torch.tensor([[[0.75, 0.25, 0.0], [0.1875, 0.0625, 0.75]]]))
