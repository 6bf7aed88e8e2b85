"""Who comes back: told by how lately, how often and how much a user came.

Shape letters: B users, L tokens, C cuts, F numbers of a user at a cut.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.transformer.attention import SECOND
from model.transformer.batch import Batch
from model.transformer.layout import DAY_SECONDS, EVENT
from model.transformer.sight import memory_sight_BCL

EVENTS_HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)
SESSIONS_HALF_LIVES_DAYS = (2.0, 7.0, 28.0)
MOST_DAYS = 60.0  # since the last event: who has not come for longer is as far away
NUMBERS = 1 + len(EVENTS_HALF_LIVES_DAYS) + len(SESSIONS_HALF_LIVES_DAYS)


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
        self.register_buffer("mean_F", torch.zeros(NUMBERS))
        self.register_buffer("spread_F", torch.ones(NUMBERS))
        self.line = nn.Linear(NUMBERS, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Return log-odds (B, C) that the user comes back in the window after the cut."""
        lately = lately_BCF(batch).to(self.mean_F.dtype)
        return self.line((lately - self.mean_F) / self.spread_F).squeeze(-1)

    def start_from(self, fit: ReturnStart) -> None:
        with torch.no_grad():
            self.mean_F.copy_(fit.mean_F)
            self.spread_F.copy_(fit.spread_F)
            self.line.weight.copy_(fit.weight_F[None])
            self.line.bias.fill_(fit.bias)


def lately_BCF(batch: Batch) -> Tensor:
    """Return logarithms: of days since the last event, of events and of sessions that fade by several half-lives."""
    is_event_BCL = memory_sight_BCL(batch, is_hierarchical=False) & (batch.kind_BL == EVENT)[:, None]
    is_first_BCL = is_event_BCL & (batch.place_BL == 1)[:, None]  # of its session
    days_BCL = (batch.cut_BC[:, :, None] - batch.at_BL[:, None]).clamp(min=0).double() / (SECOND * DAY_SECONDS)
    since_last_BC = torch.where(is_event_BCL, days_BCL, MOST_DAYS).amin(-1).clamp(max=MOST_DAYS)

    def faded_BC(is_counted_BCL: Tensor, half_life_days: float) -> Tensor:
        return torch.where(is_counted_BCL, 0.5 ** (days_BCL / half_life_days), 0.0).sum(-1)

    counted = [
        since_last_BC,
        *(faded_BC(is_event_BCL, days) for days in EVENTS_HALF_LIVES_DAYS),
        *(faded_BC(is_first_BCL, days) for days in SESSIONS_HALF_LIVES_DAYS),
    ]
    return torch.log1p(torch.stack(counted, -1))
