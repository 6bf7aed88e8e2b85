"""Who comes back: told by what a user wants and by how much they did of late.

Shape letters: B users, C cuts, T tags, P paths, W ways of counting, D width.
"""

import torch
from torch import Tensor, nn


class ReturnHead(nn.Module):
    """A line through sums that say how much a user did and is about to do, and through the user's vector.

    What it learns moves nothing but itself: a user comes back or not in nearly every window alike, so that a network
    that is moved by it learns its users by heart.
    """

    def __init__(self, width: int, paths: int, own_ways: int) -> None:
        super().__init__()
        self.line = nn.Linear(paths + own_ways + width, 1)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)

    def forward(self, user_BCD: Tensor, path_BCTP: Tensor, own_BCTW: Tensor | None = None) -> Tensor:
        """Return log-odds (B, C). own_BCTW: log(1 + count) of each tag, as `OwnTagCounts` tells it."""
        told = [path_BCTP.logsumexp(2), user_BCD.detach()]
        if own_BCTW is not None:
            told.append(torch.log1p(own_BCTW.detach().expm1().sum(2)))
        return self.line(torch.cat(told, -1)).squeeze(-1)
