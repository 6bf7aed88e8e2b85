"""Each part does what it is there for, and each switch changes the outcome."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.transformer.blocks import Attention, rotated
from model.transformer.config import SIZES, NetworkConfig
from model.transformer.heads import HALF_LIVES_DAYS, AffinityFit, RecencyFeatures
from model.transformer.masks import encoder_mask_BML, memory_mask_BCL
from model.transformer.network import InterestTransformer, session_vectors
from model.transformer.tokens import END, EVENT, PADDING, TokenBatch, Vocabulary

Make = Callable[..., InterestTransformer]


def test_attention_is_softmax_of_qk_by_root_d_times_v() -> None:
    torch.manual_seed(1)
    part = Attention(NetworkConfig(8, 2, 1, 1, 1), is_rotary=False).double().eval()
    asked, read = torch.randn(1, 3, 8).double(), torch.randn(1, 5, 8).double()
    bias = torch.randn(1, 2, 3, 5).double()
    bias[0, :, 0, 2] = -torch.inf
    query, (key, value) = part.query(asked), part.key_value(read).chunk(2, -1)
    heads = []
    for head in range(2):
        own = slice(4 * head, 4 * head + 4)
        likeness = query[0, :, own] @ key[0, :, own].T / 2 + bias[0, head]
        heads.append(torch.softmax(likeness, -1) @ value[0, :, own])
    torch.testing.assert_close(part(asked, read, bias)[0], part.out(torch.cat(heads, -1)))


def test_without_a_bias_attention_looks_back_and_never_ahead() -> None:
    torch.manual_seed(1)
    part = Attention(NetworkConfig(8, 2, 1, 1, 1), is_rotary=True).double().eval()
    value = torch.randn(3, 6, 8).double()
    ahead = torch.full((6, 6), -torch.inf).double().triu(1).expand(3, 2, 6, 6)
    torch.testing.assert_close(part(value, value, None), part(value, value, ahead))


def test_rotary_likeness_depends_on_the_distance_alone() -> None:
    one, other = torch.randn(8).double(), torch.randn(8).double()
    turned_one, turned_other = (rotated(value.expand(1, 1, 9, 8))[0, 0] for value in (one, other))
    likeness = turned_one @ turned_other.T
    torch.testing.assert_close(likeness.diagonal(2), likeness[0, 2].expand(7))
    assert not torch.allclose(likeness[0, 2], likeness[0, 3])


@pytest.mark.parametrize(
    "off",
    [
        {"has_time_bias": False},
        {"is_hierarchical": True},
        {"interests": 2},
        {"decoder_blocks": 1},
        {"has_own_tags": False},
    ],
)
def test_a_switch_changes_the_answer(make_network: Make, asked: TokenBatch, off: dict[str, object]) -> None:
    told, other = make_network()(asked).affinity_BCT, make_network(**off)(asked).affinity_BCT
    assert told.shape == other.shape
    assert not torch.allclose(told, other, atol=1e-3)


def test_time_alone_changes_the_answer_unless_it_is_switched_off(make_network: Make, asked: TokenBatch) -> None:
    """But for how sure all tags of a user are together, which how lately the user came tells with and without."""
    first_cutoff = asked.cutoff_BC[:, :1]
    is_before = asked.at_BL < first_cutoff
    earlier = replace(asked, at_BL=torch.where(is_before, asked.at_BL - 30 * 86_400_000_000, asked.at_BL))
    for has_time_bias in (True, False):
        network = make_network(has_time_bias=has_time_bias, has_own_tags=False)
        affinities = [network(batch).affinity_BCT[:, 0] for batch in (asked, earlier)]
        told, moved = (affinity_BT - affinity_BT.mean(-1, keepdim=True) for affinity_BT in affinities)
        assert torch.allclose(told, moved, atol=1e-6) is not has_time_bias


def test_a_hierarchical_memory_is_end_tokens_and_the_newest_session(asked: TokenBatch) -> None:
    mask_BCL = memory_mask_BCL(asked, is_hierarchical=True)
    for user in range(len(asked.kind_BL)):
        for cutoff in range(asked.cutoff_BC.shape[1]):
            before = (asked.at_BL[user] < asked.cutoff_BC[user, cutoff]) & (asked.kind_BL[user] != PADDING)
            newest = asked.session_BL[user][before].max()
            expected = before & ((asked.session_BL[user] == newest) | (asked.kind_BL[user] == END))
            assert torch.equal(mask_BCL[user, cutoff], expected)
    assert encoder_mask_BML(asked, is_hierarchical=True).sum() < encoder_mask_BML(asked, False).sum()


def test_the_mixture_is_a_probability_over_the_tags(network: InterestTransformer, asked: TokenBatch) -> None:
    interests = network(asked).interests
    total = interests.log_mixture_BCT().exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))
    shares, each = interests.log_share_BCK.exp(), interests.log_tag_BCKT.exp()
    torch.testing.assert_close((shares[..., None] * each).sum(2), interests.log_mixture_BCT().exp())


def test_tags_emitted_one_by_one_are_the_likeliest_sequence_of_different_tags(
    network: InterestTransformer, asked: TokenBatch, vocabulary: Vocabulary
) -> None:
    emitted_BCJ = network.emit_tags(asked, 4)
    assert all(len(set(row)) == 4 for row in emitted_BCJ.flatten(0, 1).tolist())
    memory_BLD = network.encode(asked)
    log_tag_BCJT = network.tag_sequence(memory_BLD, asked, network.tag_TD, emitted_BCJ)
    torch.testing.assert_close(log_tag_BCJT.exp().sum(-1), torch.ones_like(log_tag_BCJT[..., 0]))
    assert torch.equal(log_tag_BCJT[:, :, 0].argmax(-1), emitted_BCJ[:, :, 0])
    other = emitted_BCJ.clone()
    other[:, :, 2] = (other[:, :, 2] + 1) % len(vocabulary.tags)
    told_again = network.tag_sequence(memory_BLD, asked, network.tag_TD, other)
    torch.testing.assert_close(told_again[:, :, :3], log_tag_BCJT[:, :, :3])
    assert not torch.allclose(told_again[:, :, 3], log_tag_BCJT[:, :, 3])
    with pytest.raises(ValueError, match="1000 different tags asked for, 40 known"):
        network.emit_tags(asked, 1000)


def test_beside_a_fit_of_the_paths_the_transformer_begins_silent(make_network: Make, asked: TokenBatch) -> None:
    network = make_network(paths=2)
    with torch.no_grad():
        for weight in (network.repeat_explore.explore, network.repeat_explore.own_W):
            weight.zero_()
    network.start_from(torch.tensor([0.5, -2.0]).double())
    weight_R = torch.tensor([-0.5, 0.0, 0.25, 0.0, 0.0]).double()
    network.affinity_scale.start_from(AffinityFit(0.3, -1.5, weight_R))
    stacked_BCTP = torch.randn(*asked.cutoff_BC.shape, 40, 2).double()
    told = network(asked, stacked_BCTP)
    log_share_BCT = (0.5 * stacked_BCTP[..., 0] - 2 * stacked_BCTP[..., 1]).log_softmax(-1)
    torch.testing.assert_close(told.log_share_BCT, log_share_BCT)
    rate_BCR = RecencyFeatures.of(asked).rates_BCR()
    many_BC = 0.25 * rate_BCR[..., 2] - 0.5 * rate_BCR[..., 0] - 1.5
    expected = float(np.exp(0.3)) * log_share_BCT + many_BC[..., None]
    torch.testing.assert_close(told.affinity_BCT, expected, atol=1e-6, rtol=1e-6)
    with pytest.raises(ValueError, match="a fit of 3 paths was given, the network has 2"):
        network.start_from(torch.zeros(3))


def test_own_tags_are_counted_as_they_fade(make_network: Make, asked: TokenBatch) -> None:
    """Before it has learnt anything, a way of counting is decayed counts by its half-life."""
    network = make_network()
    assert network.own_tags is not None
    with torch.no_grad():
        network.own_tags.by_context.weight.zero_()
        network.own_tags.by_action.weight.zero_()
        network.own_tags.log_rate_W.copy_(torch.log(np.log(2) / torch.tensor(HALF_LIVES_DAYS)))
    told_BCTW = network.own_tags(network.encode(asked), asked)
    user, cutoff, day = 1, 2, 86_400_000_000
    expected = torch.zeros_like(told_BCTW[user, cutoff])
    for place in range(asked.kind_BL.shape[1]):
        if asked.kind_BL[user, place] != EVENT or asked.at_BL[user, place] >= asked.cutoff_BC[user, cutoff]:
            continue
        days = float(asked.cutoff_BC[user, cutoff] - asked.at_BL[user, place]) / day
        for tag in asked.tag_BLG[user, place].tolist():
            if tag:
                expected[tag - 1] += 0.5 ** (days / torch.tensor(HALF_LIVES_DAYS).double())
    torch.testing.assert_close(told_BCTW[user, cutoff], torch.log1p(expected), rtol=1e-5, atol=1e-6)


def test_an_item_never_trained_on_is_known_by_its_content(make_network: Make, vocabulary: Vocabulary) -> None:
    """One unseen item has the content of a known item, another that of no other."""
    items = len(vocabulary.items)
    content_VK = torch.randn(items + 3, 6).double()
    content_VK[0], content_VK[items + 1] = 0, content_VK[4]
    network = make_network(content_VK=content_VK)
    with torch.no_grad():
        network.embedding.items.own.weight.mul_(0.01)
    vector_VD = network.embedding.items.all_VD()
    assert vector_VD.shape[0] == items + 3
    likeness = torch.cosine_similarity(vector_VD[4], vector_VD[items + 1 :])
    assert likeness[0] > 0.99 > likeness[1]
    wish_D = vector_VD[4] / vector_VD[4].norm()
    score_V = network.next_items(wish_D)
    assert score_V[items] > score_V[items + 1]


def test_the_vector_of_a_session_is_the_output_of_its_end_token(
    network: InterestTransformer, asked: TokenBatch
) -> None:
    memory_BLD = network.encode(asked)
    vector_SD, user_S, session_S = session_vectors(memory_BLD, asked)
    for user in range(len(asked.kind_BL)):
        is_end = asked.kind_BL[user] == END
        assert torch.equal(vector_SD[user_S == user], memory_BLD[user][is_end])
        assert torch.equal(session_S[user_S == user], asked.session_BL[user][is_end])
    with pytest.raises(ValueError, match="no end token found"):
        session_vectors(memory_BLD, replace(asked, kind_BL=torch.ones_like(asked.kind_BL)))


def test_it_learns_what_a_session_says_of_the_next(make_network: Make, asked: TokenBatch) -> None:
    """Each user is to be told one tag: after some steps the network has it by heart, so gradients reach all parts."""
    network = make_network(dropout=0.0).train()
    wanted_B = torch.arange(len(asked.kind_BL)) * 3
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(90):
        loss = torch.nn.functional.cross_entropy(network(asked).log_share_BCT[:, -1], wanted_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    silent = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert {name.split(".")[0] for name in silent} <= {"tag_sequence", "returning", "affinity_scale"}


@pytest.mark.parametrize("name", SIZES)
def test_named_sizes_make_networks(name: str) -> None:
    weights = sum(weight.numel() for weight in InterestTransformer(SIZES[name], 10, 10, 3).parameters())
    assert weights > np.prod([SIZES[name].width, SIZES[name].width, SIZES[name].encoder_blocks])


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="width 30 does not fit 4 heads: expected a multiple of 8"):
        NetworkConfig(30, 4, 1, 1, 1)
    with pytest.raises(ValueError, match="sees older sessions through their end tokens"):
        NetworkConfig(16, 2, 1, 1, 1, has_session_tokens=False, is_hierarchical=True)
