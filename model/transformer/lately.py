"""How lately, how often and how much a user came: recency, frequency and sessions, of the tokens that were read.

Shape letters: B users, L tokens, C cuts, F numbers of a user at a cut, R the same as rates.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.transformer.attention import SECOND
from model.transformer.batch import Batch
from model.transformer.layout import DAY_SECONDS, EVENT
from model.transformer.sight import memory_sight_BCL

EVENTS_HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)
SESSIONS_HALF_LIVES_DAYS = (2.0, 7.0, 28.0)
MOST_DAYS = 60.0  # since the last event: who has not come for longer is as far away
RATES_HALF_LIVES_DAYS = (2.0, 7.0)  # of events, and of sessions
RATES = 1 + 2 * len(RATES_HALF_LIVES_DAYS)
LEAST_A_DAY = 0.1  # added to what is counted, so that nothing has a logarithm
LEAST_DAYS = 0.5  # added to the days over which it is counted
LATELY_NUMBERS = 1 + len(EVENTS_HALF_LIVES_DAYS) + len(SESSIONS_HALF_LIVES_DAYS)


@dataclass(frozen=True, eq=False)
class Came:
    """Which tokens count at each cut, and how long ago they were."""

    is_event_BCL: Tensor
    is_first_BCL: Tensor  # of its session
    days_BCL: Tensor

    @classmethod
    def of(cls, batch: Batch) -> "Came":
        is_event_BCL = memory_sight_BCL(batch, is_hierarchical=False) & (batch.kind_BL == EVENT)[:, None]
        days_BCL = (batch.cut_BC[:, :, None] - batch.at_BL[:, None]).clamp(min=0).double() / (SECOND * DAY_SECONDS)
        return cls(is_event_BCL, is_event_BCL & (batch.place_BL == 1)[:, None], days_BCL)

    def lately_BCF(self) -> Tensor:
        """Return logarithms: of days since the last event, of events and sessions that fade by several half-lives."""
        counted = [
            self._since_last_BC(),
            *(self._faded_BC(self.is_event_BCL, days) for days in EVENTS_HALF_LIVES_DAYS),
            *(self._faded_BC(self.is_first_BCL, days) for days in SESSIONS_HALF_LIVES_DAYS),
        ]
        return torch.log1p(torch.stack(counted, -1))

    def rates_BCR(self) -> Tensor:
        """Return logarithms: of days since the last event, of events and of sessions a day, the newer days counting
        more.

        A count grows with the age of the log; a rate, over the days since the user's first event, does not.
        """
        since_first_BC = torch.where(self.is_event_BCL, self.days_BCL, 0.0).amax(-1)

        def rate_BC(is_counted_BCL: Tensor, half_life_days: float) -> Tensor:
            days_BC = half_life_days / math.log(2) * (1 - 0.5 ** ((since_first_BC + 1) / half_life_days))
            return torch.log((self._faded_BC(is_counted_BCL, half_life_days) + LEAST_A_DAY) / (days_BC + LEAST_DAYS))

        told = [
            torch.log1p(self._since_last_BC()),
            *(rate_BC(self.is_event_BCL, days) for days in RATES_HALF_LIVES_DAYS),
            *(rate_BC(self.is_first_BCL, days) for days in RATES_HALF_LIVES_DAYS),
        ]
        return torch.stack(told, -1)

    def _since_last_BC(self) -> Tensor:
        return torch.where(self.is_event_BCL, self.days_BCL, MOST_DAYS).amin(-1).clamp(max=MOST_DAYS)

    def _faded_BC(self, is_counted_BCL: Tensor, half_life_days: float) -> Tensor:
        return torch.where(is_counted_BCL, torch.exp2(-self.days_BCL / half_life_days), 0.0).sum(-1)
