"""Asks the memory what a user will turn to: by learned interest queries, or tag by tag.

Shape letters: B users, L tokens, C cuts, K interests, J tags emitted so far, Q queries, D width, H heads, T tags.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.transformer.blocks import AgeBias, CrossBlock
from model.transformer.config import NetworkConfig
from model.transformer.masks import memory_mask_BCL, newest_session_BC
from model.transformer.tokens import TokenBatch

HIDDEN = -float("inf")
STANDARD_DEVIATION = 0.02


class CrossStack(nn.Module):
    """Queries of several cuts beside each other; those of one cut see each other and what stood before it."""

    def __init__(self, size: NetworkConfig) -> None:
        super().__init__()
        self.size = size
        self.age = AgeBias(size.heads) if size.has_time_bias else None
        self.blocks = nn.ModuleList(CrossBlock(size) for _ in range(size.decoder_blocks))
        self.norm = nn.RMSNorm(size.width)

    def forward(self, asked_BCKD: Tensor, memory_BLD: Tensor, batch: TokenBatch, is_causal: bool) -> Tensor:
        """Return (B, C, K, D). is_causal: query k sees queries 0..k of its cut, else all of them."""
        among_BHQQ, memory_BHQL = self._biases(asked_BCKD, batch, is_causal)
        asked_BQD = asked_BCKD.flatten(1, 2)
        for block in self.blocks:
            asked_BQD = block(asked_BQD, memory_BLD, among_BHQQ, memory_BHQL)
        return self.norm(asked_BQD).unflatten(1, asked_BCKD.shape[1:3])

    def attention_BCKL(self, asked_BCKD: Tensor, memory_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return how much each query takes from each token in the last block, the mean over heads."""
        among_BHQQ, memory_BHQL = self._biases(asked_BCKD, batch, is_causal=False)
        asked_BQD = asked_BCKD.flatten(1, 2)
        *earlier, last = self.blocks
        for block in earlier:
            asked_BQD = block(asked_BQD, memory_BLD, among_BHQQ, memory_BHQL)
        assert isinstance(last, CrossBlock)
        asked_BQD = last.attention_norm(last.among_queries(asked_BQD, among_BHQQ))
        weights_BHQL = last.attention.weights_BHQL(asked_BQD, memory_BLD, memory_BHQL)
        cutoffs, queries = asked_BCKD.shape[1:3]
        return weights_BHQL.mean(1).view(len(memory_BLD), cutoffs, queries, -1)

    def _biases(self, asked_BCKD: Tensor, batch: TokenBatch, is_causal: bool) -> tuple[Tensor, Tensor]:
        """Return what queries see of each other and of the memory (B, H, Q, Q) and (B, H, Q, L)."""
        cutoffs, queries = asked_BCKD.shape[1:3]
        asked_BQD = asked_BCKD.flatten(1, 2)
        cutoff_Q = torch.arange(cutoffs, device=asked_BQD.device).repeat_interleave(queries)
        is_peer_QQ = cutoff_Q[:, None] == cutoff_Q[None, :]
        if is_causal:
            is_peer_QQ = is_peer_QQ.tril()
        among_BHQQ = self._bias(is_peer_QQ.expand(len(asked_BQD), -1, -1), asked_BQD)
        mask_BQL = memory_mask_BCL(batch, self.size.is_hierarchical)[:, cutoff_Q]
        return among_BHQQ, self._bias(mask_BQL, asked_BQD, self._age_BHQL(batch, cutoff_Q))

    def _age_BHQL(self, batch: TokenBatch, cutoff_Q: Tensor) -> Tensor | None:
        """Return the bias of age as seen from each query's cut."""
        if self.age is None:
            return None
        newest_BC = newest_session_BC(batch)
        bias_BHCL: Tensor = self.age(batch.cutoff_BC, batch.at_BL, newest_BC, batch.session_BL)
        return bias_BHCL[:, :, cutoff_Q]

    def _bias(self, mask_BQL: Tensor, like: Tensor, bias_BHQL: Tensor | None = None) -> Tensor:
        mask_BHQL = mask_BQL[:, None]
        start = like.new_zeros(mask_BHQL.shape) if bias_BHQL is None else bias_BHQL
        return start.masked_fill(~mask_BHQL, HIDDEN).expand(-1, self.size.heads, -1, -1)


@dataclass(frozen=True, eq=False)
class Interests:
    """What the queries found."""

    vector_BCKD: Tensor
    log_share_BCK: Tensor  # of each interest in the mixture
    log_tag_BCKT: Tensor  # log probability of each tag by each interest alone

    def log_mixture_BCT(self) -> Tensor:
        """Return the log probability of each tag as the next one touched."""
        return torch.logsumexp(self.log_share_BCK[..., None] + self.log_tag_BCKT, dim=2)


class InterestDecoder(nn.Module):
    """Learned queries -> self-attention -> cross-attention -> a softmax over the tags by each, mixed."""

    def __init__(self, size: NetworkConfig, tags: int) -> None:
        super().__init__()
        self.query_KD = nn.Parameter(torch.randn(size.interests, size.width) * STANDARD_DEVIATION)
        self.stack = CrossStack(size)
        self.share = nn.Linear(size.width, 1)
        self.tag_bias_T = nn.Parameter(torch.zeros(tags))

    def forward(self, memory_BLD: Tensor, batch: TokenBatch, tag_TD: Tensor) -> Interests:
        """tag_TD: the vectors of the tags, which the queries are compared with."""
        asked_BCKD = self.query_KD.expand(*batch.cutoff_BC.shape, -1, -1)
        vector_BCKD = self.stack(asked_BCKD, memory_BLD, batch, is_causal=False)
        return Interests(
            vector_BCKD,
            self.share(vector_BCKD).squeeze(-1).log_softmax(-1),
            (vector_BCKD @ tag_TD.T + self.tag_bias_T).log_softmax(-1),
        )

    def attention_BCKL(self, memory_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return how much each interest rests on each token of the memory: the last cross-attention, over all heads."""
        asked_BCKD = self.query_KD.expand(*batch.cutoff_BC.shape, -1, -1)
        return self.stack.attention_BCKL(asked_BCKD, memory_BLD, batch)


class TagSequenceDecoder(nn.Module):
    """The paper's literal reading: emits interest tags one by one, each knowing those before it."""

    def __init__(self, size: NetworkConfig, tags: int) -> None:
        super().__init__()
        self.first_D = nn.Parameter(torch.randn(size.width) * STANDARD_DEVIATION)
        self.stack = CrossStack(size)
        self.tag_bias_T = nn.Parameter(torch.zeros(tags))

    def forward(self, memory_BLD: Tensor, batch: TokenBatch, tag_TD: Tensor, emitted_BCJ: Tensor) -> Tensor:
        """Return (B, C, J + 1, T): entry j is the log probability of the tag after the first j of `emitted_BCJ`."""
        first_BC1D = self.first_D.expand(*batch.cutoff_BC.shape, 1, -1)
        asked_BCJD = torch.cat([first_BC1D, tag_TD[emitted_BCJ]], dim=2)
        vector_BCJD = self.stack(asked_BCJD, memory_BLD, batch, is_causal=True)
        return (vector_BCJD @ tag_TD.T + self.tag_bias_T).log_softmax(-1)

    @torch.no_grad()
    def emit(self, memory_BLD: Tensor, batch: TokenBatch, tag_TD: Tensor, count: int) -> Tensor:
        """Return (B, C, count): the likeliest tag, then the likeliest of the others after it, and so on.

        Raises ValueError if there are fewer tags than `count`.
        """
        if count > len(tag_TD):
            raise ValueError(f"{count} different tags asked for, {len(tag_TD)} known: ask for at most that many")
        emitted_BCJ = batch.cutoff_BC.new_empty((*batch.cutoff_BC.shape, 0))
        for _ in range(count):
            log_tag_BCT = self(memory_BLD, batch, tag_TD, emitted_BCJ)[:, :, -1]
            next_BC1 = log_tag_BCT.scatter(-1, emitted_BCJ, HIDDEN).argmax(-1, keepdim=True)
            emitted_BCJ = torch.cat([emitted_BCJ, next_BC1], dim=2)
        return emitted_BCJ
