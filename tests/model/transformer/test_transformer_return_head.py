"""The recency features, and the head that predicts the return."""

import math
from dataclasses import replace

import pytest
import torch

from model.data.days import MICROS_PER_DAY
from model.transformer.heads import RECENCY_FEATURES, RecencyFeatures, ReturnHead
from model.transformer.tokens import TokenBatch

DAY = MICROS_PER_DAY


def two_sessions(double_batch: TokenBatch) -> TokenBatch:
    """Return three events 4, 4 and 2 days before a cutoff. The last one begins the second session."""
    kind_L, at_L, place_L = [2, 1, 1, 3, 2, 1, 3, 0], [4, 4, 4, 4, 2, 2, 2, 2], [0, 1, 2, 3, 0, 1, 2, 2]
    one = {name: value[:1, :8].clone() for name, value in vars(double_batch).items() if name != "cutoff_BC"}
    made = TokenBatch(**one, cutoff_BC=torch.tensor([[10 * DAY, 7 * DAY]]))
    return replace(
        made,
        kind_BL=torch.tensor([kind_L]),
        at_BL=torch.tensor([[(10 - days) * DAY for days in at_L]]),
        position_BL=torch.tensor([place_L]),
    )


def test_recency_features_equal_values_by_hand(double_batch: TokenBatch) -> None:
    now_F, earlier_F = torch.expm1(RecencyFeatures.of(two_sessions(double_batch)).recency_BCF())[0]
    events = [2 * 0.5 ** (4 / half) + 0.5 ** (2 / half) for half in (0.5, 2, 7, 28)]
    sessions = [0.5 ** (4 / half) + 0.5 ** (2 / half) for half in (2, 7, 28)]
    assert now_F.tolist() == pytest.approx([2, *events, *sessions], rel=1e-4)
    events = [2 * 0.5 ** (1 / half) for half in (0.5, 2, 7, 28)]
    assert earlier_F.tolist() == pytest.approx([1, *events, *(0.5 ** (1 / half) for half in (2, 7, 28))], rel=1e-4)


def test_rates_equal_values_by_hand(double_batch: TokenBatch) -> None:
    since_last, *rates = RecencyFeatures.of(two_sessions(double_batch)).rates_BCR()[0, 0].tolist()
    assert since_last == pytest.approx(math.log(3))
    counted = [
        first * 0.5 ** (4 / half) + 0.5 ** (2 / half)
        for first in (2, 1)  # events, sessions
        for half in (2, 7)
    ]
    days = [half / math.log(2) * (1 - 0.5 ** (5 / half)) for half in (2, 7, 2, 7)]
    expected = [math.log((count + 0.1) / (over + 0.5)) for count, over in zip(counted, days, strict=True)]
    assert rates == pytest.approx(expected, rel=1e-4)


def test_a_rate_does_not_grow_with_the_age_of_the_log(double_batch: TokenBatch) -> None:
    """With the same events every day the rate after three weeks is that after one week; the count is higher."""
    made = two_sessions(double_batch)

    def of(days: int) -> TokenBatch:
        ages = torch.arange(days, 0, -1)[None] - 0.5
        shape = torch.ones(1, days, dtype=torch.long)
        columns = {
            name: value[:, :1].expand(1, days, *value.shape[2:])
            for name, value in vars(made).items()
            if name not in ("cutoff_BC", "number_BLF")
        }
        return TokenBatch(
            **{**columns, "kind_BL": shape, "position_BL": shape, "at_BL": ((30 - ages) * DAY).long()},
            number_BLF=made.number_BLF[:, :1].expand(1, days, -1),
            cutoff_BC=torch.tensor([[30 * DAY]]),
        )

    short_R, long_R = RecencyFeatures.of(of(7)).rates_BCR()[0, 0], RecencyFeatures.of(of(21)).rates_BCR()[0, 0]
    assert (long_R - short_R).abs().max() < 0.1
    short_F, long_F = RecencyFeatures.of(of(7)).recency_BCF()[0, 0], RecencyFeatures.of(of(21)).recency_BCF()[0, 0]
    assert (long_F - short_F).max() > 0.5


def test_the_head_learns_that_recent_users_return() -> None:
    recency_BCF = 3 * torch.rand(400, 1, RECENCY_FEATURES, generator=torch.Generator().manual_seed(3))
    has_returned_BC = (recency_BCF[..., 0] < 1.5).float()
    torch.manual_seed(1)
    head = ReturnHead()
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1)
    for _ in range(300):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(recency_BCF), has_returned_BC)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((head(recency_BCF) > 0) == (has_returned_BC > 0)).float().mean() > 0.95
