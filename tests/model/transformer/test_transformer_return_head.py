"""The head that foretells who comes back. Shapes: users, one cut, tags, numbers."""

import pytest
import torch

from model.transformer.return_head import ReturnHead

USERS, TAGS, WIDTH, PATHS, WAYS = 400, 6, 8, 2, 4


@pytest.fixture
def seen() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    busy_B = 10 * torch.rand(USERS, 1, 1, 1, generator=random)
    return (
        torch.randn(USERS, 1, WIDTH, generator=random, requires_grad=True),
        torch.randn(USERS, 1, TAGS, PATHS, generator=random),
        torch.log1p(busy_B * torch.rand(USERS, 1, TAGS, WAYS, generator=random)).requires_grad_(),
    )


def test_it_learns_that_the_busy_come_back_and_moves_nothing_else(seen: tuple[torch.Tensor, ...]) -> None:
    events_BC = seen[2].detach().expm1().sum((2, 3))
    has_returned_BC = (events_BC > events_BC.median()).float()
    torch.manual_seed(1)
    head = ReturnHead(WIDTH, PATHS, WAYS)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1)
    for _ in range(300):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(*seen), has_returned_BC)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    is_right_BC = (head(*seen) > 0) == (has_returned_BC > 0)
    assert is_right_BC.float().mean() > 0.95
    assert seen[0].grad is None and seen[2].grad is None


def test_it_does_with_what_there_is(seen: tuple[torch.Tensor, ...]) -> None:
    """A network may have no paths, and none of its own."""
    user_BCD, path_BCTP, _ = seen
    assert ReturnHead(WIDTH, 0, 0)(user_BCD, path_BCTP[..., :0]).shape == (USERS, 1)
