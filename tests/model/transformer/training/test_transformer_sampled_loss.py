"""The sampled ranking loss equals the full ranking loss on average."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from model.transformer.loss import sample_tags, sampled_ranking_loss

USERS, TAGS = 6, 300


@pytest.fixture
def affinity() -> Tensor:
    return (torch.randn(USERS, 1, TAGS, generator=torch.Generator().manual_seed(1)) * 1.5).double()


@pytest.fixture
def touched() -> Tensor:
    """User 0 touched no tag, the others 1 to 5."""
    made = torch.zeros(USERS, 1, TAGS).double()
    for user in range(1, USERS):
        made[user, 0, torch.randperm(TAGS, generator=torch.Generator().manual_seed(user))[:user]] = 1.0
    return made


def full_loss(affinity: Tensor, touched: Tensor) -> Tensor:
    share = touched / touched.sum(-1, keepdim=True).clamp(min=1)
    return -(share * log_softmax(affinity, -1)).sum() / (touched.sum(-1) > 0).sum()


def test_with_every_tag_in_the_sample_it_is_the_full_loss(affinity: Tensor, touched: Tensor) -> None:
    torch.testing.assert_close(
        sampled_ranking_loss(affinity, touched, torch.arange(TAGS)), full_loss(affinity, touched)
    )


def test_the_mean_over_draws_is_near_the_full_loss(affinity: Tensor, touched: Tensor) -> None:
    generator = torch.Generator().manual_seed(3)
    full = full_loss(affinity, touched)
    of_draws = torch.stack(
        [sampled_ranking_loss(affinity, touched, sample_tags(TAGS, 64, generator)) for _ in range(400)]
    )
    assert of_draws.std() > 0.02
    assert abs(of_draws.mean() - full) < 0.01 * full
    uncorrected = torch.cat([affinity[..., :64], affinity[..., -1:]], -1).logsumexp(-1)
    assert uncorrected.mean() < affinity.logsumexp(-1).mean() - 1  # the correction makes up for this


def test_the_sum_of_exponentials_is_right_on_average(affinity: Tensor, touched: Tensor) -> None:
    """The correction is exact for the sum; its logarithm is slightly too low."""
    generator = torch.Generator().manual_seed(4)
    one_user, one_touched = affinity[3:4], touched[3:4]
    mean_of_touched = (one_touched * one_user).sum() / one_touched.sum()
    losses = [sampled_ranking_loss(one_user, one_touched, sample_tags(TAGS, 64, generator)) for _ in range(2000)]
    total = (torch.stack(losses) + mean_of_touched).exp()
    expected = one_user.exp().sum()
    assert abs(total.mean() - expected) < 3 * total.std() / len(losses) ** 0.5


def test_only_sampled_and_touched_tags_get_a_gradient(affinity: Tensor, touched: Tensor) -> None:
    negatives = torch.tensor([3, 50, 299])
    affinity.requires_grad_()
    sampled_ranking_loss(affinity, touched, negatives).backward()
    may = touched > 0
    may[1:, :, negatives] = True
    assert affinity.grad is not None
    assert torch.equal(affinity.grad != 0, may)


def test_without_touched_tags_loss_and_gradient_are_0(affinity: Tensor) -> None:
    affinity.requires_grad_()
    loss = sampled_ranking_loss(affinity, torch.zeros_like(affinity), torch.arange(5))
    loss.backward()
    assert loss == 0 and affinity.grad is not None and not affinity.grad.any()


def test_a_sample_of_only_touched_tags_is_a_softmax_over_these(affinity: Tensor) -> None:
    touched = torch.zeros_like(affinity)
    touched[..., :5] = 1.0
    loss = sampled_ranking_loss(affinity, touched, torch.arange(5))
    torch.testing.assert_close(loss, -(log_softmax(affinity[..., :5], -1)).mean())


def test_a_sample_has_different_tags_and_at_most_all_of_them() -> None:
    assert sorted(sample_tags(10, 10).tolist()) == list(range(10))
    assert len(set(sample_tags(1000, 100, torch.Generator().manual_seed(1)).tolist())) == 100
    for count in (0, 11):
        with pytest.raises(ValueError, match=f"cannot sample {count} negatives from 10 tags: expected 1 to 10"):
            sample_tags(10, count)
