"""The path of what can be counted: a user's own counts, and what other models say, straight into the affinities.

Counting is hard to beat, so the Transformer begins where a convex fit of the paths ends, and adds to it.

Shape letters: B users, C cuts, T tags, P paths (one number each about a user and a tag), W ways of counting,
R numbers that tell how much a user does (see model/transformer/lately.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class AffinityFit:
    """The scale and the shift that are surest; see model/transformer/convex.py."""

    log_scale: float
    bias: float
    weight_R: Tensor


class RepeatExplore(nn.Module):
    """Adds up what the paths say of a tag (repeat) and what the Transformer says of it (explore): how tags rank.

    Source: the split of RepeatNet (Ren et al. 2019), as one sum instead of a switch.
    """

    def __init__(self, paths: int, own_ways: int) -> None:
        """own_ways: of counting a user's own tags inside the network, see `OwnTagCounts`."""
        super().__init__()
        self.weight_P = nn.Parameter(torch.zeros(paths))
        # Beside a fit of the paths the network begins silent; without one, its own counts are a good start.
        self.own_W = nn.Parameter(torch.full((own_ways,), 0.0 if paths else 1.0))
        self.explore = nn.Parameter(torch.tensor(0.0 if paths else 1.0))

    def forward(self, path_BCTP: Tensor, log_mixture_BCT: Tensor, own_BCTW: Tensor | None = None) -> Tensor:
        """Return the log probability (B, C, T) of each tag as the next one touched."""
        told_BCT = path_BCTP @ self.weight_P + self.explore * log_mixture_BCT
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
