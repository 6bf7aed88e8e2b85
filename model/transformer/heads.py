"""The heads of the network: how tags rank, how probable each is, and whether the user returns.

`RecencyFeatures` counts events and sessions with exponential decay. `PointerHead` counts the user's own touches of each
tag, weighted by their context. `MixtureHead` adds stacked features, pointer counts and interests to a ranking.
`AffinityScale` turns the ranking into probabilities. `ReturnHead` predicts whether the user returns.

Shape letters: B users, L tokens, G tags of a token, C cutoffs, T tags, P stacked features of a user and tag, W pointer
counts (one per half-life), F recency features, R rates, D width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.data.days import MICROS_PER_DAY
from model.transformer.masks import memory_mask_BCL
from model.transformer.tokens import EVENT, TokenBatch

EVENTS_HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)
SESSIONS_HALF_LIVES_DAYS = (2.0, 7.0, 28.0)
RECENCY_FEATURES = 1 + len(EVENTS_HALF_LIVES_DAYS) + len(SESSIONS_HALF_LIVES_DAYS)
MAX_DAYS = 60.0  # upper bound of the days since the last event
RATES_HALF_LIVES_DAYS = (2.0, 7.0)  # of events, and of sessions
RATES = 1 + 2 * len(RATES_HALF_LIVES_DAYS)
RATE_PRIOR_COUNT = 0.1  # added to each count, so that its logarithm is finite
RATE_PRIOR_DAYS = 0.5  # added to the days of each rate
POINTER_HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)  # initial values; they are trained


@dataclass(frozen=True, eq=False)
class RecencyFeatures:
    """Recency, frequency and session counts of each user at each cutoff, from the tokens in the batch."""

    is_event_BCL: Tensor  # before the cutoff
    is_first_BCL: Tensor  # the first event of its session
    days_BCL: Tensor  # age at the cutoff

    @classmethod
    def of(cls, batch: TokenBatch) -> "RecencyFeatures":
        is_event_BCL = memory_mask_BCL(batch, is_hierarchical=False) & (batch.kind_BL == EVENT)[:, None]
        days_BCL = (batch.cutoff_BC[:, :, None] - batch.at_BL[:, None]).clamp(min=0).double() / MICROS_PER_DAY
        return cls(is_event_BCL, is_event_BCL & (batch.position_BL == 1)[:, None], days_BCL)

    def recency_BCF(self) -> Tensor:
        """Return log(1 + x) of the days since the last event and of decayed counts of events and of sessions."""
        values = [
            self._since_last_BC(),
            *(self._decayed_BC(self.is_event_BCL, days) for days in EVENTS_HALF_LIVES_DAYS),
            *(self._decayed_BC(self.is_first_BCL, days) for days in SESSIONS_HALF_LIVES_DAYS),
        ]
        return torch.log1p(torch.stack(values, -1))

    def rates_BCR(self) -> Tensor:
        """Return logarithms of the days since the last event and of decayed events and sessions per day.

        A count grows with the age of the log. A rate, over the days since the user's first event, does not.
        """
        since_first_BC = torch.where(self.is_event_BCL, self.days_BCL, 0.0).amax(-1)

        def rate_BC(is_counted_BCL: Tensor, half_life_days: float) -> Tensor:
            days_BC = half_life_days / math.log(2) * (1 - 0.5 ** ((since_first_BC + 1) / half_life_days))
            count_BC = self._decayed_BC(is_counted_BCL, half_life_days)
            return torch.log((count_BC + RATE_PRIOR_COUNT) / (days_BC + RATE_PRIOR_DAYS))

        rates = [
            torch.log1p(self._since_last_BC()),
            *(rate_BC(self.is_event_BCL, days) for days in RATES_HALF_LIVES_DAYS),
            *(rate_BC(self.is_first_BCL, days) for days in RATES_HALF_LIVES_DAYS),
        ]
        return torch.stack(rates, -1)

    def _since_last_BC(self) -> Tensor:
        return torch.where(self.is_event_BCL, self.days_BCL, MAX_DAYS).amin(-1).clamp(max=MAX_DAYS)

    def _decayed_BC(self, is_counted_BCL: Tensor, half_life_days: float) -> Tensor:
        return torch.where(is_counted_BCL, torch.exp2(-self.days_BCL / half_life_days), 0.0).sum(-1)


class PointerHead(nn.Module):
    """Counts the user's touches of each tag. The weight of a touch depends on its action, its age and its context.

    Source: the repeat decoder of RepeatNet (Ren et al. 2019), in the form of a pointer, with trained half-lives.
    """

    def __init__(self, width: int, actions: int, tags: int) -> None:
        super().__init__()
        counts = len(POINTER_HALF_LIVES_DAYS)
        self.tags = tags
        self.log_rate_W = nn.Parameter(torch.log(torch.log(torch.tensor(2.0)) / torch.tensor(POINTER_HALF_LIVES_DAYS)))
        self.by_action = nn.Embedding(actions + 1, counts)
        self.by_context = nn.Linear(width, counts, bias=False)
        nn.init.zeros_(self.by_action.weight)
        nn.init.zeros_(self.by_context.weight)

    def forward(self, memory_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return (B, C, T, W): log(1 + count) of each tag before each cutoff."""
        days_BCL = (batch.cutoff_BC[:, :, None] - batch.at_BL[:, None]).clamp(min=0) / MICROS_PER_DAY
        weight_BLW = self.by_action(batch.action_BL) + self.by_context(memory_BLD)
        log_count_BCLW = weight_BLW[:, None] - days_BCL[..., None].to(weight_BLW.dtype) * self.log_rate_W.exp()
        is_visible_BCL1 = memory_mask_BCL(batch, is_hierarchical=False)[..., None]
        count_BCLW = torch.where(is_visible_BCL1, log_count_BCLW.exp(), 0.0)
        users, cutoffs, _, counts = count_BCLW.shape
        total_BCTW = count_BCLW.new_zeros(users, cutoffs, self.tags + 1, counts)
        for tag_BL in batch.tag_BLG.unbind(-1):
            total_BCTW = total_BCTW.scatter_add(2, tag_BL[:, None, :, None].expand_as(count_BCLW), count_BCLW)
        return torch.log1p(total_BCTW[:, :, 1:])


class MixtureHead(nn.Module):
    """Ranks the tags by a weighted sum of stacked features, pointer counts (repeat) and interests (explore).

    Source: the repeat-explore split of RepeatNet (Ren et al. 2019), as one sum instead of a switch.
    """

    def __init__(self, features: int, pointer_counts: int) -> None:
        """features: P; pointer_counts: W, 0 without a pointer head."""
        super().__init__()
        self.weight_P = nn.Parameter(torch.zeros(features))
        # With stacked features the network starts from their fit and adds 0. Without any it starts from its own counts.
        self.pointer_W = nn.Parameter(torch.full((pointer_counts,), 0.0 if features else 1.0))
        self.explore = nn.Parameter(torch.tensor(0.0 if features else 1.0))

    def forward(self, stacked_BCTP: Tensor, log_mixture_BCT: Tensor, pointer_BCTW: Tensor | None = None) -> Tensor:
        """Return the log probability (B, C, T) of each tag as the next one touched."""
        score_BCT = stacked_BCTP @ self.weight_P + self.explore * log_mixture_BCT
        return (score_BCT if pointer_BCTW is None else score_BCT + pointer_BCTW @ self.pointer_W).log_softmax(-1)


@dataclass(frozen=True)
class AffinityFit:
    """Values of an `AffinityScale`; see `warm_start.fit_affinity_scale`."""

    log_scale: float
    bias: float
    weight_R: Tensor


class AffinityScale(nn.Module):
    """Turns the ranking into log-odds: one scale for all users, and a shift per user that depends on their activity.

    It does not change the ranking, and its loss does not reach it, since one set of weights for both losses ranks worse
    (demo, nDCG@10: .577 with both losses, .588 with the ranking loss alone). Activity is measured by rates, because
    counts grow with the log (calibration error a week after the training, another seed of the demo: .027 by counts,
    .018 by rates).
    """

    def __init__(self, rates: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(()))
        self.weight_R = nn.Parameter(torch.zeros(rates))

    def forward(self, log_share_BCT: Tensor, rate_BCR: Tensor) -> Tensor:
        """Return log-odds (B, C, T) that the user touches the tag in the window."""
        shift_BC = rate_BCR @ self.weight_R + self.bias
        return self.log_scale.exp() * log_share_BCT.detach() + shift_BC[..., None]

    def initialize(self, fit: AffinityFit) -> None:
        with torch.no_grad():
            self.log_scale.fill_(fit.log_scale)
            self.bias.fill_(fit.bias)
            self.weight_R.copy_(fit.weight_R)


@dataclass(frozen=True)
class ReturnFit:
    """Values of a `ReturnHead`; see `warm_start.fit_return_head`."""

    mean_F: Tensor
    spread_F: Tensor  # standard deviations
    weight_F: Tensor
    bias: float


class ReturnHead(nn.Module):
    """Logistic regression on the recency features: does the user return in the window after the cutoff?

    The user's vector is not an input. A user returns in nearly every window or in none, so a head that sees the vector
    overfits to the users (AUC of a later week on the demo: .60 by the vector, .77 by recency, .75 by both).
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean_F: Tensor
        self.spread_F: Tensor
        self.register_buffer("mean_F", torch.zeros(RECENCY_FEATURES))
        self.register_buffer("spread_F", torch.ones(RECENCY_FEATURES))
        self.linear = nn.Linear(RECENCY_FEATURES, 1)

    def forward(self, recency_BCF: Tensor) -> Tensor:
        """Return log-odds (B, C)."""
        return self.linear((recency_BCF - self.mean_F) / self.spread_F).squeeze(-1)

    def initialize(self, fit: ReturnFit) -> None:
        with torch.no_grad():
            self.mean_F.copy_(fit.mean_F)
            self.spread_F.copy_(fit.spread_F)
            self.linear.weight.copy_(fit.weight_F[None])
            self.linear.bias.fill_(fit.bias)
