"""The parts of the network: blocks, masks, heads, decoders, and the options of the config."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.transformer.blocks import Attention, rotated
from model.transformer.config import SIZES, NetworkConfig
from model.transformer.heads import POINTER_HALF_LIVES_DAYS, AffinityFit, RecencyFeatures
from model.transformer.masks import encoder_mask_BML, memory_mask_BCL
from model.transformer.network import InterestTransformer, session_vectors
from model.transformer.tokens import END, EVENT, PADDING, TokenBatch, Vocabulary

Make = Callable[..., InterestTransformer]


def test_attention_is_softmax_of_qk_by_root_d_times_v() -> None:
    torch.manual_seed(1)
    part = Attention(NetworkConfig(8, 2, 1, 1, 1), is_rotary=False).double().eval()
    query, memory = torch.randn(1, 3, 8).double(), torch.randn(1, 5, 8).double()
    bias = torch.randn(1, 2, 3, 5).double()
    bias[0, :, 0, 2] = -torch.inf
    projected, (key, value) = part.query(query), part.key_value(memory).chunk(2, -1)
    heads = []
    for head in range(2):
        own = slice(4 * head, 4 * head + 4)
        similarity = projected[0, :, own] @ key[0, :, own].T / 2 + bias[0, head]
        heads.append(torch.softmax(similarity, -1) @ value[0, :, own])
    torch.testing.assert_close(part(query, memory, bias)[0], part.out(torch.cat(heads, -1)))


def test_without_a_bias_attention_is_causal() -> None:
    torch.manual_seed(1)
    part = Attention(NetworkConfig(8, 2, 1, 1, 1), is_rotary=True).double().eval()
    value = torch.randn(3, 6, 8).double()
    ahead = torch.full((6, 6), -torch.inf).double().triu(1).expand(3, 2, 6, 6)
    torch.testing.assert_close(part(value, value, None), part(value, value, ahead))


def test_rotary_similarity_depends_only_on_the_distance() -> None:
    one, other = torch.randn(8).double(), torch.randn(8).double()
    rotated_one, rotated_other = (rotated(value.expand(1, 1, 9, 8))[0, 0] for value in (one, other))
    similarity = rotated_one @ rotated_other.T
    torch.testing.assert_close(similarity.diagonal(2), similarity[0, 2].expand(7))
    assert not torch.allclose(similarity[0, 2], similarity[0, 3])


@pytest.mark.parametrize(
    "changes",
    [
        {"has_time_bias": False},
        {"is_hierarchical": True},
        {"interests": 2},
        {"decoder_blocks": 1},
        {"has_pointer_head": False},
    ],
)
def test_an_option_changes_the_prediction(
    make_network: Make, double_batch: TokenBatch, changes: dict[str, object]
) -> None:
    default, other = make_network()(double_batch).affinity_BCT, make_network(**changes)(double_batch).affinity_BCT
    assert default.shape == other.shape
    assert not torch.allclose(default, other, atol=1e-3)


def test_time_changes_the_ranking_unless_the_time_bias_is_off(make_network: Make, double_batch: TokenBatch) -> None:
    """The shift of all tags of a user is left out: the recency changes it in either case."""
    first_cutoff = double_batch.cutoff_BC[:, :1]
    is_before = double_batch.at_BL < first_cutoff
    earlier = replace(
        double_batch, at_BL=torch.where(is_before, double_batch.at_BL - 30 * 86_400_000_000, double_batch.at_BL)
    )
    for has_time_bias in (True, False):
        network = make_network(has_time_bias=has_time_bias, has_pointer_head=False)
        affinities = [network(batch).affinity_BCT[:, 0] for batch in (double_batch, earlier)]
        before, after = (affinity_BT - affinity_BT.mean(-1, keepdim=True) for affinity_BT in affinities)
        assert torch.allclose(before, after, atol=1e-6) is not has_time_bias


def test_a_hierarchical_memory_has_end_tokens_and_the_newest_session(double_batch: TokenBatch) -> None:
    mask_BCL = memory_mask_BCL(double_batch, is_hierarchical=True)
    for user in range(len(double_batch.kind_BL)):
        for cutoff in range(double_batch.cutoff_BC.shape[1]):
            before = (double_batch.at_BL[user] < double_batch.cutoff_BC[user, cutoff]) & (
                double_batch.kind_BL[user] != PADDING
            )
            newest = double_batch.session_BL[user][before].max()
            expected = before & ((double_batch.session_BL[user] == newest) | (double_batch.kind_BL[user] == END))
            assert torch.equal(mask_BCL[user, cutoff], expected)
    assert encoder_mask_BML(double_batch, is_hierarchical=True).sum() < encoder_mask_BML(double_batch, False).sum()


def test_the_mixture_is_a_distribution_over_the_tags(network: InterestTransformer, double_batch: TokenBatch) -> None:
    interests = network(double_batch).interests
    total = interests.log_mixture_BCT().exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))
    shares, each = interests.log_share_BCK.exp(), interests.log_tag_BCKT.exp()
    torch.testing.assert_close((shares[..., None] * each).sum(2), interests.log_mixture_BCT().exp())


def test_emitted_tags_are_the_greedy_sequence_of_different_tags(
    make_network: Make, double_batch: TokenBatch, vocabulary: Vocabulary
) -> None:
    network = make_network(has_tag_sequence_decoder=True)
    emitted_BCJ = network.emit_tags(double_batch, 4)
    assert all(len(set(row)) == 4 for row in emitted_BCJ.flatten(0, 1).tolist())
    memory_BLD = network.encode(double_batch)
    log_tag_BCJT = network.log_tag_sequence(memory_BLD, double_batch, emitted_BCJ)
    torch.testing.assert_close(log_tag_BCJT.exp().sum(-1), torch.ones_like(log_tag_BCJT[..., 0]))
    assert torch.equal(log_tag_BCJT[:, :, 0].argmax(-1), emitted_BCJ[:, :, 0])
    other = emitted_BCJ.clone()
    other[:, :, 2] = (other[:, :, 2] + 1) % len(vocabulary.tags)
    changed = network.log_tag_sequence(memory_BLD, double_batch, other)
    torch.testing.assert_close(changed[:, :, :3], log_tag_BCJT[:, :, :3])
    assert not torch.allclose(changed[:, :, 3], log_tag_BCJT[:, :, 3])
    with pytest.raises(ValueError, match="cannot emit 1000 different tags: the vocabulary has 40"):
        network.emit_tags(double_batch, 1000)


def test_by_default_a_network_has_no_weights_of_optional_parts(
    network: InterestTransformer, double_batch: TokenBatch
) -> None:
    parts = {name.split(".")[0] for name in network.state_dict()}
    assert "tag_sequence_decoder" not in parts
    assert not any("content" in name for name in network.state_dict())
    with pytest.raises(ValueError, match="this network has no tag sequence decoder: set has_tag_sequence_decoder"):
        network.emit_tags(double_batch, 4)


def test_a_network_with_zero_weights_ranks_by_its_stacked_features(
    make_network: Make, double_batch: TokenBatch
) -> None:
    network = make_network(features=2)
    with torch.no_grad():
        for weight in (network.mixture_head.explore, network.mixture_head.pointer_W):
            weight.zero_()
    network.initialize_mixture(torch.tensor([0.5, -2.0]).double())
    weight_R = torch.tensor([-0.5, 0.0, 0.25, 0.0, 0.0]).double()
    network.affinity_scale.initialize(AffinityFit(0.3, -1.5, weight_R))
    stacked_BCTP = torch.randn(*double_batch.cutoff_BC.shape, 40, 2).double()
    output = network(double_batch, stacked_BCTP)
    log_share_BCT = (0.5 * stacked_BCTP[..., 0] - 2 * stacked_BCTP[..., 1]).log_softmax(-1)
    torch.testing.assert_close(output.log_share_BCT, log_share_BCT)
    rate_BCR = RecencyFeatures.of(double_batch).rates_BCR()
    shift_BC = 0.25 * rate_BCR[..., 2] - 0.5 * rate_BCR[..., 0] - 1.5
    expected = float(np.exp(0.3)) * log_share_BCT + shift_BC[..., None]
    torch.testing.assert_close(output.affinity_BCT, expected, atol=1e-6, rtol=1e-6)
    with pytest.raises(ValueError, match="expected weights of 2 stacked features, got 3"):
        network.initialize_mixture(torch.zeros(3))


def test_the_pointer_head_starts_from_decayed_counts(make_network: Make, double_batch: TokenBatch) -> None:
    """Without weights of actions and context, each count is a decayed count by its half-life."""
    network = make_network()
    assert network.pointer_head is not None
    with torch.no_grad():
        network.pointer_head.by_context.weight.zero_()
        network.pointer_head.by_action.weight.zero_()
        network.pointer_head.log_rate_W.copy_(torch.log(np.log(2) / torch.tensor(POINTER_HALF_LIVES_DAYS)))
    count_BCTW = network.pointer_head(network.encode(double_batch), double_batch)
    user, cutoff, day = 1, 2, 86_400_000_000
    expected = torch.zeros_like(count_BCTW[user, cutoff])
    for position in range(double_batch.kind_BL.shape[1]):
        if (
            double_batch.kind_BL[user, position] != EVENT
            or double_batch.at_BL[user, position] >= double_batch.cutoff_BC[user, cutoff]
        ):
            continue
        days = float(double_batch.cutoff_BC[user, cutoff] - double_batch.at_BL[user, position]) / day
        for tag in double_batch.tag_BLG[user, position].tolist():
            if tag:
                expected[tag - 1] += 0.5 ** (days / torch.tensor(POINTER_HALF_LIVES_DAYS).double())
    torch.testing.assert_close(count_BCTW[user, cutoff], torch.log1p(expected), rtol=1e-5, atol=1e-6)


def test_an_unseen_item_is_represented_by_its_content(make_network: Make, vocabulary: Vocabulary) -> None:
    """One unseen item has the content of a known item, another has content of its own."""
    items = len(vocabulary.items)
    content_VK = torch.randn(items + 3, 6).double()
    content_VK[0], content_VK[items + 1] = 0, content_VK[4]
    network = make_network(content_VK=content_VK)
    with torch.no_grad():
        network.embedding.items.learned.weight.mul_(0.01)
    vector_VD = network.embedding.items.all_VD()
    assert vector_VD.shape[0] == items + 3
    similarity = torch.cosine_similarity(vector_VD[4], vector_VD[items + 1 :])
    assert similarity[0] > 0.99 > similarity[1]


def test_the_vector_of_a_session_is_the_output_of_its_end_token(
    network: InterestTransformer, double_batch: TokenBatch
) -> None:
    memory_BLD = network.encode(double_batch)
    vector_SD, user_S, session_S = session_vectors(memory_BLD, double_batch)
    for user in range(len(double_batch.kind_BL)):
        is_end = double_batch.kind_BL[user] == END
        assert torch.equal(vector_SD[user_S == user], memory_BLD[user][is_end])
        assert torch.equal(session_S[user_S == user], double_batch.session_BL[user][is_end])
    with pytest.raises(ValueError, match="found no end token"):
        session_vectors(memory_BLD, replace(double_batch, kind_BL=torch.ones_like(double_batch.kind_BL)))


def test_gradients_reach_every_part_of_the_network(make_network: Make, double_batch: TokenBatch) -> None:
    """After some steps the network has overfitted to one tag for each user."""
    network = make_network(dropout=0.0).train()
    target_B = torch.arange(len(double_batch.kind_BL)) * 3
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(90):
        loss = torch.nn.functional.cross_entropy(network(double_batch).log_share_BCT[:, -1], target_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    without_gradient = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert {name.split(".")[0] for name in without_gradient} <= {"return_head", "affinity_scale"}


@pytest.mark.parametrize("name", SIZES)
def test_each_named_size_gives_a_network(name: str) -> None:
    weights = sum(weight.numel() for weight in InterestTransformer(SIZES[name], 10, 10, 3).parameters())
    assert weights > np.prod([SIZES[name].width, SIZES[name].width, SIZES[name].encoder_blocks])


def test_a_config_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="width 30 does not fit 4 heads: expected a multiple of 8"):
        NetworkConfig(30, 4, 1, 1, 1)
    with pytest.raises(ValueError, match="is_hierarchical needs has_session_tokens"):
        NetworkConfig(16, 2, 1, 1, 1, has_session_tokens=False, is_hierarchical=True)
