"""How lately, how often and how much a user came: recency, frequency and sessions, of the tokens that were read.

Shape letters: B users, L tokens, C cuts, F numbers of a user at a cut, R the same as rates.

The pointer path: a user's own past as counts whose fading and weights are learnt, each touch seen in its context.

Shape letters: B users, L tokens, G tags of a token, C cuts, T tags, W ways of counting, D width.

The path of what can be counted: a user's own counts, and what other models say, straight into the affinities.

Counting is hard to beat, so the Transformer begins where a convex fit of the paths ends, and adds to it.

Shape letters: B users, C cuts, T tags, P paths (one number each about a user and a tag), W ways of counting,
R numbers that tell how much a user does (see model/transformer/heads.py).

Who comes back: told by how lately, how often and how much a user came.

Shape letters: B users, C cuts, F numbers of a user at a cut (see model/transformer/heads.py).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.transformer.blocks import SECOND
from model.transformer.masks import memory_mask_BCL
from model.transformer.tokens import DAY_SECONDS, EVENT, TokenBatch

EVENTS_HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)
SESSIONS_HALF_LIVES_DAYS = (2.0, 7.0, 28.0)
MOST_DAYS = 60.0  # since the last event: who has not come for longer is as far away
RATES_HALF_LIVES_DAYS = (2.0, 7.0)  # of events, and of sessions
RATES = 1 + 2 * len(RATES_HALF_LIVES_DAYS)
LEAST_A_DAY = 0.1  # added to what is counted, so that nothing has a logarithm
LEAST_DAYS = 0.5  # added to the days over which it is counted
RECENCY_FEATURES = 1 + len(EVENTS_HALF_LIVES_DAYS) + len(SESSIONS_HALF_LIVES_DAYS)


@dataclass(frozen=True, eq=False)
class RecencyFeatures:
    """Which tokens count at each cut, and how long ago they were."""

    is_event_BCL: Tensor
    is_first_BCL: Tensor  # of its session
    days_BCL: Tensor

    @classmethod
    def of(cls, batch: TokenBatch) -> "RecencyFeatures":
        is_event_BCL = memory_mask_BCL(batch, is_hierarchical=False) & (batch.kind_BL == EVENT)[:, None]
        days_BCL = (batch.cutoff_BC[:, :, None] - batch.at_BL[:, None]).clamp(min=0).double() / (SECOND * DAY_SECONDS)
        return cls(is_event_BCL, is_event_BCL & (batch.place_BL == 1)[:, None], days_BCL)

    def recency_BCF(self) -> Tensor:
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


HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)  # at which the ways begin; where they end is learnt


class PointerHead(nn.Module):
    """Counts the touches of each tag, a touch as much as its action, its age and what stood around it make it count.

    Source: the pointer form of the repeat decoder (Ren et al. 2019, RepeatNet), with an age that fades by learnt
    half-lives.
    """

    def __init__(self, width: int, actions: int, tags: int) -> None:
        super().__init__()
        ways = len(HALF_LIVES_DAYS)
        self.tags = tags
        self.log_rate_W = nn.Parameter(torch.log(torch.log(torch.tensor(2.0)) / torch.tensor(HALF_LIVES_DAYS)))
        self.by_action = nn.Embedding(actions + 1, ways)
        self.by_context = nn.Linear(width, ways, bias=False)
        nn.init.zeros_(self.by_action.weight)
        nn.init.zeros_(self.by_context.weight)

    def forward(self, memory_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return (B, C, T, W): log(1 + count) of each tag as of each cut, in each way of counting."""
        days_BCL1 = ((batch.cutoff_BC[:, :, None] - batch.at_BL[:, None]).clamp(min=0) / (SECOND * DAY_SECONDS))[
            ..., None
        ]
        weight_BLW = self.by_action(batch.action_BL) + self.by_context(memory_BLD)
        log_count_BCLW = weight_BLW[:, None] - days_BCL1.to(weight_BLW.dtype) * self.log_rate_W.exp()
        sees_BCL1 = memory_mask_BCL(batch, is_hierarchical=False)[..., None]
        count_BCLW = torch.where(sees_BCL1, log_count_BCLW.exp(), 0.0)
        users, cutoffs, _, ways = count_BCLW.shape
        total_BCTW = count_BCLW.new_zeros(users, cutoffs, self.tags + 1, ways)
        for tag_BL in batch.tag_BLG.unbind(-1):
            total_BCTW = total_BCTW.scatter_add(2, tag_BL[:, None, :, None].expand_as(count_BCLW), count_BCLW)
        return torch.log1p(total_BCTW[:, :, 1:])


@dataclass(frozen=True)
class AffinityFit:
    """The scale and the shift that are surest; see model/transformer/warm_start.py."""

    log_scale: float
    bias: float
    weight_R: Tensor


class MixtureHead(nn.Module):
    """Adds up what the paths say of a tag (repeat) and what the Transformer says of it (explore): how tags rank.

    Source: the split of RepeatNet (Ren et al. 2019), as one sum instead of a switch.
    """

    def __init__(self, paths: int, own_ways: int) -> None:
        """own_ways: of counting a user's own tags inside the network, see `PointerHead`."""
        super().__init__()
        self.weight_P = nn.Parameter(torch.zeros(paths))
        # Beside a fit of the paths the network begins silent; without one, its own counts are a good start.
        self.own_W = nn.Parameter(torch.full((own_ways,), 0.0 if paths else 1.0))
        self.explore = nn.Parameter(torch.tensor(0.0 if paths else 1.0))

    def forward(self, stacked_BCTP: Tensor, log_mixture_BCT: Tensor, own_BCTW: Tensor | None = None) -> Tensor:
        """Return the log probability (B, C, T) of each tag as the next one touched."""
        told_BCT = stacked_BCTP @ self.weight_P + self.explore * log_mixture_BCT
        return (told_BCT if own_BCTW is None else told_BCT + own_BCTW @ self.own_W).log_softmax(-1)


class AffinityScale(nn.Module):
    """From how tags rank to how sure each is: stretched for all alike, shifted for each user by how much they will do.

    It bends no ranking, and what it learns moves no ranking, since the two losses would pull the paths apart: summed
    log-odds rank worse (demo, nDCG@10: .577 with both losses on the paths, .588 with the ranking alone). How much a
    user does is told by rates: counts, and sums of what the paths say, grow with the log, and with them how sure it
    would be (another seed of the demo, calibration error a week after the training: .027 with them, .018 by rates).
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

    def start_from(self, fit: AffinityFit) -> None:
        with torch.no_grad():
            self.log_scale.fill_(fit.log_scale)
            self.bias.fill_(fit.bias)
            self.weight_R.copy_(fit.weight_R)


@dataclass(frozen=True)
class ReturnStart:
    """The line with which a head begins; see model/transformer/warm_start.py."""

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
        self.register_buffer("mean_F", torch.zeros(RECENCY_FEATURES))
        self.register_buffer("spread_F", torch.ones(RECENCY_FEATURES))
        self.line = nn.Linear(RECENCY_FEATURES, 1)

    def forward(self, recency_BCF: Tensor) -> Tensor:
        """Return log-odds (B, C) that the user comes back in the window after the cut."""
        return self.line((recency_BCF - self.mean_F) / self.spread_F).squeeze(-1)

    def start_from(self, fit: ReturnStart) -> None:
        with torch.no_grad():
            self.mean_F.copy_(fit.mean_F)
            self.spread_F.copy_(fit.spread_F)
            self.line.weight.copy_(fit.weight_F[None])
            self.line.bias.fill_(fit.bias)
