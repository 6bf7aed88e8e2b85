"""The pointer path: a user's own past as counts whose fading and weights are learnt, each touch seen in its context.

Shape letters: B users, L tokens, G tags of a token, C cuts, T tags, W ways of counting, D width.
"""

import torch
from torch import Tensor, nn

from model.transformer.attention import SECOND
from model.transformer.batch import Batch
from model.transformer.layout import DAY_SECONDS
from model.transformer.sight import memory_sight_BCL

HALF_LIVES_DAYS = (0.5, 2.0, 7.0, 28.0)  # at which the ways begin; where they end is learnt


class OwnTagCounts(nn.Module):
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

    def forward(self, memory_BLD: Tensor, batch: Batch) -> Tensor:
        """Return (B, C, T, W): log(1 + count) of each tag as of each cut, in each way of counting."""
        days_BCL1 = ((batch.cut_BC[:, :, None] - batch.at_BL[:, None]).clamp(min=0) / (SECOND * DAY_SECONDS))[..., None]
        weight_BLW = self.by_action(batch.action_BL) + self.by_context(memory_BLD)
        log_count_BCLW = weight_BLW[:, None] - days_BCL1.to(weight_BLW.dtype) * self.log_rate_W.exp()
        sees_BCL1 = memory_sight_BCL(batch, is_hierarchical=False)[..., None]
        count_BCLW = torch.where(sees_BCL1, log_count_BCLW.exp(), 0.0)
        users, cuts, _, ways = count_BCLW.shape
        total_BCTW = count_BCLW.new_zeros(users, cuts, self.tags + 1, ways)
        for tag_BL in batch.tag_BLG.unbind(-1):
            total_BCTW = total_BCTW.scatter_add(2, tag_BL[:, None, :, None].expand_as(count_BCLW), count_BCLW)
        return torch.log1p(total_BCTW[:, :, 1:])
