"""Reads the behaviours of all sessions, each in the light of those before it.

Shape letters: B users, L tokens, D width, H heads.
"""

from torch import Tensor, nn

from model.transformer.attention import AgeBias
from model.transformer.batch import Batch
from model.transformer.block import SelfBlock
from model.transformer.sight import encoder_sight_BML
from model.transformer.size import Size


class Encoder(nn.Module):
    """A stack of blocks. Position l has seen tokens 0..l and nothing later."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.age = AgeBias(size.heads) if size.has_time_bias else None
        self.blocks = nn.ModuleList(SelfBlock(size, is_rotary=True) for _ in range(size.encoder_blocks))
        self.norm = nn.RMSNorm(size.width)

    def forward(self, token_BLD: Tensor, batch: Batch) -> Tensor:
        """Return (B, L, D); the output of a session's end token is the session's vector."""
        bias_BHLL = self._bias_BHLL(token_BLD, batch)
        for block in self.blocks:
            token_BLD = block(token_BLD, bias_BHLL)
        return self.norm(token_BLD)

    def _bias_BHLL(self, token_BLD: Tensor, batch: Batch) -> Tensor | None:
        """Return what attention adds to each likeness; None where it is merely to look at what came before."""
        if self.age is None and not self.size.is_hierarchical:
            return None
        sight_BHLL = encoder_sight_BML(batch, self.size.is_hierarchical)[:, None]
        bias_BHLL = token_BLD.new_zeros(sight_BHLL.shape)
        if self.age is not None:
            bias_BHLL = self.age(batch.at_BL, batch.at_BL, batch.session_BL, batch.session_BL)
        return bias_BHLL.masked_fill(~sight_BHLL, -float("inf")).expand(-1, self.size.heads, -1, -1)
