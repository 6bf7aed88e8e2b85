"""Multi-head attention `softmax(QKᵀ/√d)V` with a bias that knows how long ago, and how many sessions ago.

Shape letters: B users, Q queries, L tokens, D width, H heads, E width of a head, S buckets of age.

Pre-norm blocks whose parts pass through gates. Shape letters: B users, Q queries, L tokens, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from model.transformer.config import NetworkConfig

TIME_BUCKETS = 40  # two a factor of e: the last begins after 9 years
SESSION_BUCKETS = 12  # 0, 1, 2, ... sessions ago; the last holds all that lies further back
SECOND = 1_000_000  # in microseconds
ROTARY_BASE = 10_000.0


class AgeBias(nn.Module):
    """What each head adds to the likeness of a query and a token, by the token's age as the query sees it.

    Source: relative attention bias over time as in HSTU (Zhai et al. 2024), here from the query's own moment: of an
    encoder's query that of its token, of an interest's the cut.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.by_time = nn.Embedding(TIME_BUCKETS, heads)
        self.by_sessions = nn.Embedding(SESSION_BUCKETS, heads)
        nn.init.zeros_(self.by_time.weight)
        nn.init.zeros_(self.by_sessions.weight)

    def forward(self, at_BQ: Tensor, at_BL: Tensor, session_BQ: Tensor, session_BL: Tensor) -> Tensor:
        """Return (B, H, Q, L). at: moments; session: ordinals within the user."""
        seconds_BQL = (at_BQ[:, :, None] - at_BL[:, None, :]).clamp(min=0).float() / SECOND
        age_BQL = (2 * torch.log1p(seconds_BQL)).long().clamp(max=TIME_BUCKETS - 1)
        ago_BQL = (session_BQ[:, :, None] - session_BL[:, None, :]).clamp(min=0, max=SESSION_BUCKETS - 1)
        bucket_BQL = age_BQL * SESSION_BUCKETS + ago_BQL
        by_bucket_SH = (self.by_time.weight[:, None] + self.by_sessions.weight).flatten(0, 1)
        # Head by head: the gradient of an embedding of so few rows, each hit so often, took a quarter of a step.
        of_heads = [by_S.index_select(0, bucket_BQL.flatten()).view_as(bucket_BQL) for by_S in by_bucket_SH.unbind(1)]
        return torch.stack(of_heads, dim=1)


class Attention(nn.Module):
    """Queries look at tokens where `bias` is not minus infinity; without a bias, at the tokens up to their own."""

    def __init__(self, size: NetworkConfig, is_rotary: bool) -> None:
        """is_rotary: queries and tokens are the same sequence, and know how many places they are apart.

        Dropout hides no token from a query: it took a sixth of a step, and the fast kernel for processors has none.
        """
        super().__init__()
        self.heads, self.is_rotary = size.heads, is_rotary
        self.query = nn.Linear(size.width, size.width, bias=False)
        self.key_value = nn.Linear(size.width, 2 * size.width, bias=False)
        self.out = nn.Linear(size.width, size.width, bias=False)

    def forward(self, asked_BQD: Tensor, read_BLD: Tensor, bias_BHQL: Tensor | None) -> Tensor:
        """Return (B, Q, D). A query that may see nothing gets zeros.

        bias_BHQL: None where both are the same sequence and a token sees itself and what came before it. No mask is
        made then, and less than a whole square is multiplied.
        """
        query_BHQE = self._by_head(self.query(asked_BQD))
        key_BHLE, value_BHLE = (self._by_head(part) for part in self.key_value(read_BLD).chunk(2, dim=-1))
        if self.is_rotary:
            query_BHQE, key_BHLE = rotated(query_BHQE), rotated(key_BHLE)
        if bias_BHQL is None:
            seen_BHQE = scaled_dot_product_attention(query_BHQE, key_BHLE, value_BHLE, is_causal=True)
        elif self.is_rotary:  # a token sees itself at least
            bias_BHQL = bias_BHQL.to(query_BHQE.dtype)
            seen_BHQE = scaled_dot_product_attention(query_BHQE, key_BHLE, value_BHLE, attn_mask=bias_BHQL)
        else:
            sees_nothing_BHQ1 = torch.isneginf(bias_BHQL.amax(-1, keepdim=True))
            bias_BHQL = bias_BHQL.masked_fill(sees_nothing_BHQ1, 0.0).to(query_BHQE.dtype)
            seen_BHQE = scaled_dot_product_attention(query_BHQE, key_BHLE, value_BHLE, attn_mask=bias_BHQL)
            seen_BHQE = seen_BHQE.masked_fill(sees_nothing_BHQ1, 0.0)
        return self.out(seen_BHQE.transpose(1, 2).flatten(2))

    def newest_BD(self, read_BLD: Tensor, length_B: Tensor) -> Tensor:
        """Return what `forward` without a bias returns of each row's newest place, asking nothing of the others.

        length_B: real places of each row, 1 at least; the newest is the last of them.
        """
        place_L, newest_B1 = torch.arange(read_BLD.shape[1]), length_B[:, None] - 1
        asked_B1D = read_BLD.take_along_dim(newest_B1[:, :, None], dim=1)
        query_BH1E = self._by_head(self.query(asked_B1D))
        key_BHLE, value_BHLE = (self._by_head(part) for part in self.key_value(read_BLD).chunk(2, dim=-1))
        if self.is_rotary:
            query_BH1E, key_BHLE = rotated(query_BH1E, newest_B1[:, None]), rotated(key_BHLE)
        is_seen_BHQL = (place_L <= newest_B1)[:, None, None]
        seen_BH1E = scaled_dot_product_attention(query_BH1E, key_BHLE, value_BHLE, attn_mask=is_seen_BHQL)
        return self.out(seen_BH1E.transpose(1, 2).flatten(2))[:, 0]

    def weights_BHQL(self, asked_BQD: Tensor, read_BLD: Tensor, bias_BHQL: Tensor) -> Tensor:
        """Return how much of what each query finds comes from each token, 1 in all; 0 for a query that sees nothing."""
        query_BHQE = self._by_head(self.query(asked_BQD))
        key_BHLE = self._by_head(self.key_value(read_BLD).chunk(2, dim=-1)[0])
        if self.is_rotary:
            query_BHQE, key_BHLE = rotated(query_BHQE), rotated(key_BHLE)
        likeness_BHQL = query_BHQE @ key_BHLE.transpose(-1, -2) / query_BHQE.shape[-1] ** 0.5
        return (likeness_BHQL + bias_BHQL).softmax(-1).nan_to_num(0.0)

    def _by_head(self, value_BLD: Tensor) -> Tensor:
        return value_BLD.view(*value_BLD.shape[:2], self.heads, -1).transpose(1, 2)


def rotated(value_BHLE: Tensor, place_BHL: Tensor | None = None) -> Tensor:
    """Turn pairs of numbers by an angle that grows with the place. Source: Su et al. 2021 (RoFormer).

    place_BHL: in the sequence, from 0; None where all of its places are there, in their order.
    """
    half = value_BHLE.shape[-1] // 2
    speed_E = ROTARY_BASE ** (-torch.arange(half, device=value_BHLE.device) / half)
    place = torch.arange(value_BHLE.shape[-2], device=value_BHLE.device) if place_BHL is None else place_BHL
    angle = place[..., None] * speed_E
    cos, sin = angle.cos().to(value_BHLE.dtype), angle.sin().to(value_BHLE.dtype)
    left, right = value_BHLE.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


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

    def __init__(self, size: NetworkConfig, is_rotary: bool) -> None:
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

    def __init__(self, size: NetworkConfig) -> None:
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
