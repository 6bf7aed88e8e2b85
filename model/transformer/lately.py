"""How lately, how often and how much a user came: recency, frequency and sessions, of the tokens that were read.

Shape letters: B users, L tokens, C cuts, F numbers of a user at a cut.
"""

import torch
from torch import Tensor

from model.transformer.attention import SECOND
from model.transformer.batch import Batch
from model.transformer.layout import DAY_SECONDS, EVENT
from model.transformer.sight import memory_sight_BCL

EVENTS_HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)
SESSIONS_HALF_LIVES_DAYS = (2.0, 7.0, 28.0)
MOST_DAYS = 60.0  # since the last event: who has not come for longer is as far away
LATELY_NUMBERS = 1 + len(EVENTS_HALF_LIVES_DAYS) + len(SESSIONS_HALF_LIVES_DAYS)


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
