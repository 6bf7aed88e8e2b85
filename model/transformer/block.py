"""Pre-norm blocks whose parts pass through gates. Shape letters: B users, Q queries, L tokens, D width."""

import torch
from torch import Tensor, nn

from model.transformer.attention import Attention
from model.transformer.size import Size

WIDER = 2  # the feed-forward part is so many times as wide


class Gated(nn.Module):
    """Adds what a part found to what was there, each number through a gate that looks at what was there.

    Source: the gated residuals of LiGR (Borisyuk et al. 2025).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)

    def forward(self, there: Tensor, found: Tensor) -> Tensor:
        return there + torch.sigmoid(self.gate(there)) * found


class FeedForward(nn.Module):
    """The paper's `W1·ReLU(W0·X + b0)` with SwiGLU in the place of ReLU. Source: Shazeer 2020."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(width, 2 * WIDER * width)
        self.out = nn.Linear(WIDER * width, width)

    def forward(self, value: Tensor) -> Tensor:
        gate, told = self.into(value).chunk(2, dim=-1)
        return self.out(nn.functional.silu(gate) * told)


class SelfBlock(nn.Module):
    """Tokens look at each other, then each thinks for itself."""

    def __init__(self, size: Size, is_rotary: bool) -> None:
        """is_rotary: as Attention has it."""
        super().__init__()
        self.attention_norm, self.thought_norm = nn.RMSNorm(size.width), nn.RMSNorm(size.width)
        self.attention, self.thought = Attention(size, is_rotary), FeedForward(size.width)
        self.attended, self.thinking = Gated(size.width), Gated(size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, value_BLD: Tensor, bias_BHLL: Tensor | None) -> Tensor:
        """Return (B, L, D). bias_BHLL: None where each token sees itself and those before it, as far and as well."""
        normed_BLD = self.attention_norm(value_BLD)
        value_BLD = self.attended(value_BLD, self.dropout(self.attention(normed_BLD, normed_BLD, bias_BHLL)))
        return self.thinking(value_BLD, self.dropout(self.thought(self.thought_norm(value_BLD))))

    def newest_BD(self, value_BLD: Tensor, length_B: Tensor) -> Tensor:
        """Return what `forward` without a bias returns of each row's newest place, and no other place thinks.

        length_B: as Attention has it.
        """
        there_BD = value_BLD[torch.arange(len(length_B)), length_B - 1]
        found_BD = self.attention.newest_BD(self.attention_norm(value_BLD), length_B)
        there_BD = self.attended(there_BD, self.dropout(found_BD))
        return self.thinking(there_BD, self.dropout(self.thought(self.thought_norm(there_BD))))


class CrossBlock(nn.Module):
    """Queries look at each other, then at the memory, and think for themselves after each."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.among_queries = SelfBlock(size, is_rotary=False)
        self.attention_norm, self.thought_norm = nn.RMSNorm(size.width), nn.RMSNorm(size.width)
        self.attention, self.thought = Attention(size, is_rotary=False), FeedForward(size.width)
        self.attended, self.thinking = Gated(size.width), Gated(size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, asked_BQD: Tensor, memory_BLD: Tensor, bias_BHQQ: Tensor, bias_BHQL: Tensor) -> Tensor:
        asked_BQD = self.among_queries(asked_BQD, bias_BHQQ)
        found_BQD = self.attention(self.attention_norm(asked_BQD), memory_BLD, bias_BHQL)
        asked_BQD = self.attended(asked_BQD, self.dropout(found_BQD))
        return self.thinking(asked_BQD, self.dropout(self.thought(self.thought_norm(asked_BQD))))
