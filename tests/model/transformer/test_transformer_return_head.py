"""The head that foretells who comes back."""

from dataclasses import replace

import pytest
import torch

from model.days import MICROS_PER_DAY
from model.transformer.batch import Batch
from model.transformer.lately import LATELY_NUMBERS, lately_BCF
from model.transformer.return_head import ReturnHead

DAY = MICROS_PER_DAY


def test_its_numbers_are_counted_by_hand(asked: Batch) -> None:
    """Two sessions: three events 4, 4 and 2 days before the cut, of which the last one begins the second session."""
    kind_L, at_L, place_L = [2, 1, 1, 3, 2, 1, 3, 0], [4, 4, 4, 4, 2, 2, 2, 2], [0, 1, 2, 3, 0, 1, 2, 2]
    one = {name: value[:1, :8].clone() for name, value in vars(asked).items() if name != "cut_BC"}
    told = Batch(**one, cut_BC=torch.tensor([[10 * DAY, 7 * DAY]]))
    told = replace(
        told,
        kind_BL=torch.tensor([kind_L]),
        at_BL=torch.tensor([[(10 - days) * DAY for days in at_L]]),
        place_BL=torch.tensor([place_L]),
    )
    now_F, earlier_F = torch.expm1(lately_BCF(told))[0]
    events = [2 * 0.5 ** (4 / half) + 0.5 ** (2 / half) for half in (0.5, 2, 7, 28)]
    sessions = [0.5 ** (4 / half) + 0.5 ** (2 / half) for half in (2, 7, 28)]
    assert now_F.tolist() == pytest.approx([2, *events, *sessions], rel=1e-4)
    events = [2 * 0.5 ** (1 / half) for half in (0.5, 2, 7, 28)]
    assert earlier_F.tolist() == pytest.approx([1, *events, *(0.5 ** (1 / half) for half in (2, 7, 28))], rel=1e-4)


def test_it_learns_that_who_came_lately_comes_back() -> None:
    lately = 3 * torch.rand(400, 1, LATELY_NUMBERS, generator=torch.Generator().manual_seed(3))
    has_returned_BC = (lately[..., 0] < 1.5).float()
    torch.manual_seed(1)
    head = ReturnHead()
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1)
    for _ in range(300):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(lately), has_returned_BC)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((head(lately) > 0) == (has_returned_BC > 0)).float().mean() > 0.95
