"""Who comes back: told by how lately, how often and how much a user came.

Shape letters: B users, C cuts, F numbers of a user at a cut (see model/transformer/lately.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.transformer.lately import LATELY_NUMBERS


@dataclass(frozen=True)
class ReturnStart:
    """The line with which a head begins; see model/transformer/convex.py."""

    mean_F: Tensor
    spread_F: Tensor
    weight_F: Tensor
    bias: float


class ReturnHead(nn.Module):
    """A line over recency, frequency and session counts of the tokens that were read.

    It does not look at the user's vector: a user comes back in nearly every window or in none, so a head that sees
    the vector learns its users by heart (AUC of a later week on the demo: .60 by the vector, .77 by these numbers, .75
    by both).
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean_F: Tensor
        self.spread_F: Tensor
        self.register_buffer("mean_F", torch.zeros(LATELY_NUMBERS))
        self.register_buffer("spread_F", torch.ones(LATELY_NUMBERS))
        self.line = nn.Linear(LATELY_NUMBERS, 1)

    def forward(self, lately_BCF: Tensor) -> Tensor:
        """Return log-odds (B, C) that the user comes back in the window after the cut."""
        return self.line((lately_BCF - self.mean_F) / self.spread_F).squeeze(-1)

    def start_from(self, fit: ReturnStart) -> None:
        with torch.no_grad():
            self.mean_F.copy_(fit.mean_F)
            self.spread_F.copy_(fit.spread_F)
            self.line.weight.copy_(fit.weight_F[None])
            self.line.bias.fill_(fit.bias)
