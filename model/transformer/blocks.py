"""Transformer blocks: multi-head attention with an age bias, gated residuals and SwiGLU feed-forward layers.

Blocks are pre-norm. A `SelfBlock` lets tokens attend to each other. A `CrossBlock` lets queries attend to each other
and then to a memory.

Shape letters: B users, Q queries, L tokens, D width, H heads, E width of a head, S buckets of age.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from model.transformer.config import NetworkConfig
from model.transformer.tokens import MICROS_PER_SECOND

TIME_BUCKETS = 40  # two per factor of e; the last begins after 9 years
SESSION_BUCKETS = 12  # 0, 1, 2, ... sessions ago; the last holds all older sessions
ROTARY_BASE = 10_000.0
FEED_FORWARD_FACTOR = 2  # hidden width of a feed-forward layer, as a multiple of the width


class AgeBias(nn.Module):
    """A learned attention bias per head, by the age of the token in time and in sessions.

    The age is seen from the query's own moment: that of the token in the encoder, the cutoff in the decoder.
    Source: relative attention bias over time, HSTU (Zhai et al. 2024).
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.by_time = nn.Embedding(TIME_BUCKETS, heads)
        self.by_sessions = nn.Embedding(SESSION_BUCKETS, heads)
        nn.init.zeros_(self.by_time.weight)
        nn.init.zeros_(self.by_sessions.weight)

    def forward(self, at_BQ: Tensor, at_BL: Tensor, session_BQ: Tensor, session_BL: Tensor) -> Tensor:
        """Return (B, H, Q, L). at: moments in microseconds; session: index within the user."""
        # In place and in 32 bits: this is half of the time of an encoder that scores.
        seconds_BQL = (at_BQ[:, :, None] - at_BL[:, None, :]).clamp_(min=0).float().div_(MICROS_PER_SECOND)
        age_BQL = seconds_BQL.log1p_().mul_(2).int().clamp_(max=TIME_BUCKETS - 1)
        sessions_ago_BQL = session_BQ.int()[:, :, None] - session_BL.int()[:, None, :]
        bucket_BQL = age_BQL.mul_(SESSION_BUCKETS).add_(sessions_ago_BQL.clamp_(min=0, max=SESSION_BUCKETS - 1))
        by_bucket_SH = (self.by_time.weight[:, None] + self.by_sessions.weight).flatten(0, 1)
        # One lookup per head. The gradient of one embedding with few rows and many lookups took a quarter of a step.
        of_heads = [by_S.index_select(0, bucket_BQL.flatten()).view_as(bucket_BQL) for by_S in by_bucket_SH.unbind(1)]
        return torch.stack(of_heads, dim=1)


class Attention(nn.Module):
    """Multi-head attention `softmax(QKᵀ/√d + bias)V`. Source: Vaswani et al. 2017, section 3.2.

    A bias of minus infinity hides a token. Without a bias attention is causal: a query sees its own position and those
    before it.
    """

    def __init__(self, config: NetworkConfig, is_rotary: bool) -> None:
        """is_rotary: queries and tokens are the same sequence, with rotary positions.

        There is no dropout on attention weights: it took a sixth of a step, and the fast CPU kernel does not have it.
        """
        super().__init__()
        self.heads, self.is_rotary = config.heads, is_rotary
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key_value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, query_BQD: Tensor, token_BLD: Tensor, bias_BHQL: Tensor | None) -> Tensor:
        """Return (B, Q, D), zeros for a query that sees no token.

        bias_BHQL: None for causal attention within one sequence; no mask is materialised then.
        """
        query_BHQE = self._by_head(self.query(query_BQD))
        key_BHLE, value_BHLE = (self._by_head(part) for part in self.key_value(token_BLD).chunk(2, dim=-1))
        if self.is_rotary:
            query_BHQE, key_BHLE = rotated(query_BHQE), rotated(key_BHLE)
        if bias_BHQL is None:
            out_BHQE = scaled_dot_product_attention(query_BHQE, key_BHLE, value_BHLE, is_causal=True)
        elif self.is_rotary:  # a token sees at least itself
            bias_BHQL = bias_BHQL.to(query_BHQE.dtype)
            out_BHQE = scaled_dot_product_attention(query_BHQE, key_BHLE, value_BHLE, attn_mask=bias_BHQL)
        else:
            sees_none_BHQ1 = torch.isneginf(bias_BHQL.amax(-1, keepdim=True))
            bias_BHQL = bias_BHQL.masked_fill(sees_none_BHQ1, 0.0).to(query_BHQE.dtype)
            out_BHQE = scaled_dot_product_attention(query_BHQE, key_BHLE, value_BHLE, attn_mask=bias_BHQL)
            out_BHQE = out_BHQE.masked_fill(sees_none_BHQ1, 0.0)
        return self.out(out_BHQE.transpose(1, 2).flatten(2))

    def weights_BHQL(self, query_BQD: Tensor, token_BLD: Tensor, bias_BHQL: Tensor) -> Tensor:
        """Return the attention weights. Those of a query sum to 1, or are all 0 if it sees no token."""
        query_BHQE = self._by_head(self.query(query_BQD))
        key_BHLE = self._by_head(self.key_value(token_BLD).chunk(2, dim=-1)[0])
        if self.is_rotary:
            query_BHQE, key_BHLE = rotated(query_BHQE), rotated(key_BHLE)
        similarity_BHQL = query_BHQE @ key_BHLE.transpose(-1, -2) / query_BHQE.shape[-1] ** 0.5
        return (similarity_BHQL + bias_BHQL).softmax(-1).nan_to_num(0.0)

    def _by_head(self, value_BLD: Tensor) -> Tensor:
        return value_BLD.view(*value_BLD.shape[:2], self.heads, -1).transpose(1, 2)


def rotated(value_BHLE: Tensor) -> Tensor:
    """Rotate pairs of numbers by an angle proportional to the position. Source: RoFormer (Su et al. 2021)."""
    half = value_BHLE.shape[-1] // 2
    speed_E = ROTARY_BASE ** (-torch.arange(half, device=value_BHLE.device) / half)
    angle_LE = torch.arange(value_BHLE.shape[-2], device=value_BHLE.device)[:, None] * speed_E
    cos, sin = angle_LE.cos().to(value_BHLE.dtype), angle_LE.sin().to(value_BHLE.dtype)
    left, right = value_BHLE.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


class GatedResidual(nn.Module):
    """Adds an update to its input, each number scaled by a gate computed from the input.

    Source: gated residuals of LiGR (Borisyuk et al. 2025).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)

    def forward(self, value: Tensor, update: Tensor) -> Tensor:
        return value + torch.sigmoid(self.gate(value)) * update


class FeedForward(nn.Module):
    """A feed-forward layer with SwiGLU as activation. Source: Shazeer 2020."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, 2 * FEED_FORWARD_FACTOR * width)
        self.out = nn.Linear(FEED_FORWARD_FACTOR * width, width)

    def forward(self, value: Tensor) -> Tensor:
        gate, linear = self.hidden(value).chunk(2, dim=-1)
        return self.out(nn.functional.silu(gate) * linear)


class SelfBlock(nn.Module):
    """Self-attention, then a feed-forward layer."""

    def __init__(self, config: NetworkConfig, is_rotary: bool) -> None:
        """is_rotary: see `Attention`."""
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.attention, self.feed_forward = Attention(config, is_rotary), FeedForward(config.width)
        self.attention_gate, self.feed_forward_gate = GatedResidual(config.width), GatedResidual(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, value_BLD: Tensor, bias_BHLL: Tensor | None) -> Tensor:
        """Return (B, L, D). bias_BHLL: None for causal attention."""
        normed_BLD = self.attention_norm(value_BLD)
        attended_BLD = self.attention(normed_BLD, normed_BLD, bias_BHLL)
        value_BLD = self.attention_gate(value_BLD, self.dropout(attended_BLD))
        update_BLD = self.feed_forward(self.feed_forward_norm(value_BLD))
        return self.feed_forward_gate(value_BLD, self.dropout(update_BLD))


class CrossBlock(nn.Module):
    """Self-attention among queries, then attention to the memory, then a feed-forward layer."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.among_queries = SelfBlock(config, is_rotary=False)
        self.attention_norm, self.feed_forward_norm = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.attention, self.feed_forward = Attention(config, is_rotary=False), FeedForward(config.width)
        self.attention_gate, self.feed_forward_gate = GatedResidual(config.width), GatedResidual(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, query_BQD: Tensor, memory_BLD: Tensor, bias_BHQQ: Tensor, bias_BHQL: Tensor) -> Tensor:
        query_BQD = self.among_queries(query_BQD, bias_BHQQ)
        attended_BQD = self.attention(self.attention_norm(query_BQD), memory_BLD, bias_BHQL)
        query_BQD = self.attention_gate(query_BQD, self.dropout(attended_BQD))
        update_BQD = self.feed_forward(self.feed_forward_norm(query_BQD))
        return self.feed_forward_gate(query_BQD, self.dropout(update_BQD))
