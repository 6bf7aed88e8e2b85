"""The decoders: learned interest queries, or a sequence of tags emitted one by one, read from the encoder's memory.

Shape letters: B users, L tokens, C cutoffs, K interests, J emitted tags, Q queries of all cutoffs, D width, H heads,
T tags.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.transformer.blocks import AgeBias, CrossBlock
from model.transformer.config import NetworkConfig
from model.transformer.masks import memory_mask_BCL, newest_session_BC
from model.transformer.tokens import TokenBatch

HIDDEN = -float("inf")
EMITTED_TAGS = 10  # as many as a profile has
LOG_STEP = 1e-4  # by which an emitted tag lies below the one before it at least
INITIAL_STD = 0.02


class CrossStack(nn.Module):
    """A stack of cross-attention blocks for the queries of several cutoffs.

    The queries of a cutoff see each other and the memory before the cutoff, nothing of other cutoffs.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.age = AgeBias(config.heads) if config.has_time_bias else None
        self.blocks = nn.ModuleList(CrossBlock(config) for _ in range(config.decoder_blocks))
        self.norm = nn.RMSNorm(config.width)

    def forward(self, query_BCKD: Tensor, memory_BLD: Tensor, batch: TokenBatch, is_causal: bool) -> Tensor:
        """Return (B, C, K, D). is_causal: query k sees queries 0..k of its cutoff, else all of them."""
        among_BHQQ, memory_BHQL = self._biases(query_BCKD, batch, is_causal)
        query_BQD = query_BCKD.flatten(1, 2)
        for block in self.blocks:
            query_BQD = block(query_BQD, memory_BLD, among_BHQQ, memory_BHQL)
        return self.norm(query_BQD).unflatten(1, query_BCKD.shape[1:3])

    def attention_BCKL(self, query_BCKD: Tensor, memory_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return the attention weights of the last block, the mean over its heads."""
        among_BHQQ, memory_BHQL = self._biases(query_BCKD, batch, is_causal=False)
        query_BQD = query_BCKD.flatten(1, 2)
        *earlier, last = self.blocks
        for block in earlier:
            query_BQD = block(query_BQD, memory_BLD, among_BHQQ, memory_BHQL)
        assert isinstance(last, CrossBlock)
        query_BQD = last.attention_norm(last.among_queries(query_BQD, among_BHQQ))
        weights_BHQL = last.attention.weights_BHQL(query_BQD, memory_BLD, memory_BHQL)
        cutoffs, queries = query_BCKD.shape[1:3]
        return weights_BHQL.mean(1).view(len(memory_BLD), cutoffs, queries, -1)

    def _biases(self, query_BCKD: Tensor, batch: TokenBatch, is_causal: bool) -> tuple[Tensor, Tensor]:
        """Return the attention biases among queries (B, H, Q, Q) and to the memory (B, H, Q, L)."""
        cutoffs, queries = query_BCKD.shape[1:3]
        query_BQD = query_BCKD.flatten(1, 2)
        cutoff_Q = torch.arange(cutoffs, device=query_BQD.device).repeat_interleave(queries)
        is_visible_QQ = cutoff_Q[:, None] == cutoff_Q[None, :]
        if is_causal:
            is_visible_QQ = is_visible_QQ.tril()
        among_BHQQ = self._bias(is_visible_QQ.expand(len(query_BQD), -1, -1), query_BQD)
        mask_BQL = memory_mask_BCL(batch, self.config.is_hierarchical)[:, cutoff_Q]
        return among_BHQQ, self._bias(mask_BQL, query_BQD, self._age_BHQL(batch, cutoff_Q))

    def _age_BHQL(self, batch: TokenBatch, cutoff_Q: Tensor) -> Tensor | None:
        """Return the bias by the age of each token at the cutoff of each query."""
        if self.age is None:
            return None
        newest_BC = newest_session_BC(batch)
        bias_BHCL: Tensor = self.age(batch.cutoff_BC, batch.at_BL, newest_BC, batch.session_BL)
        return bias_BHCL[:, :, cutoff_Q]

    def _bias(self, mask_BQL: Tensor, like: Tensor, bias_BHQL: Tensor | None = None) -> Tensor:
        mask_BHQL = mask_BQL[:, None]
        start = like.new_zeros(mask_BHQL.shape) if bias_BHQL is None else bias_BHQL
        return start.masked_fill(~mask_BHQL, HIDDEN).expand(-1, self.config.heads, -1, -1)


@dataclass(frozen=True, eq=False)
class Interests:
    """The interests of each user at each cutoff, a mixture of distributions over the tags."""

    vector_BCKD: Tensor
    log_share_BCK: Tensor  # log weight of each interest in the mixture
    log_tag_BCKT: Tensor  # log probability of each tag under each interest

    def log_mixture_BCT(self) -> Tensor:
        """Return the log probability of each tag as the next one touched."""
        return torch.logsumexp(self.log_share_BCK[..., None] + self.log_tag_BCKT, dim=2)


class InterestDecoder(nn.Module):
    """Learned queries read interests from the memory; each interest is a softmax over the tags, and they are mixed.

    Sources: learned queries, DETR (Carion et al. 2020); several interests per user, ComiRec (Cen et al. 2020); mixture
    of softmaxes (Yang et al. 2018).
    """

    def __init__(self, config: NetworkConfig, tags: int) -> None:
        super().__init__()
        self.query_KD = nn.Parameter(torch.randn(config.interests, config.width) * INITIAL_STD)
        self.stack = CrossStack(config)
        self.share = nn.Linear(config.width, 1)
        self.tag_bias_T = nn.Parameter(torch.zeros(tags))

    def forward(self, memory_BLD: Tensor, batch: TokenBatch, tag_TD: Tensor) -> Interests:
        """tag_TD: the tag embeddings, with which the interest vectors are compared."""
        query_BCKD = self.query_KD.expand(*batch.cutoff_BC.shape, -1, -1)
        vector_BCKD = self.stack(query_BCKD, memory_BLD, batch, is_causal=False)
        return Interests(
            vector_BCKD,
            self.share(vector_BCKD).squeeze(-1).log_softmax(-1),
            (vector_BCKD @ tag_TD.T + self.tag_bias_T).log_softmax(-1),
        )

    def attention_BCKL(self, memory_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return how much each interest attends to each token in the last cross-attention, the mean over heads."""
        query_BCKD = self.query_KD.expand(*batch.cutoff_BC.shape, -1, -1)
        return self.stack.attention_BCKL(query_BCKD, memory_BLD, batch)


class TagSequenceDecoder(nn.Module):
    """Emits interest tags one by one; each depends on the tags before it.

    Source: the encoder-decoder Transformer (Vaswani et al. 2017, section 3.1), with tags as output tokens.
    """

    def __init__(self, config: NetworkConfig, tags: int) -> None:
        super().__init__()
        self.first_D = nn.Parameter(torch.randn(config.width) * INITIAL_STD)
        self.stack = CrossStack(config)
        self.tag_bias_T = nn.Parameter(torch.zeros(tags))

    def forward(
        self,
        memory_BLD: Tensor,
        batch: TokenBatch,
        tag_TD: Tensor,
        emitted_BCJ: Tensor,
        prior_BCT: Tensor | None = None,
    ) -> Tensor:
        """Return (B, C, J + 1, T): entry j is the log probability of each tag after the first j of `emitted_BCJ`.

        prior_BCT: log probability of each tag by another ranking, to which each step adds its own log-odds.
        """
        first_BC1D = self.first_D.expand(*batch.cutoff_BC.shape, 1, -1)
        query_BCJD = torch.cat([first_BC1D, tag_TD[emitted_BCJ]], dim=2)
        vector_BCJD = self.stack(query_BCJD, memory_BLD, batch, is_causal=True)
        score_BCJT = vector_BCJD @ tag_TD.T + self.tag_bias_T
        return (score_BCJT if prior_BCT is None else score_BCJT + prior_BCT[:, :, None]).log_softmax(-1)

    @torch.no_grad()
    def emit(self, memory_BLD: Tensor, batch: TokenBatch, tag_TD: Tensor, count: int) -> Tensor:
        """Return (B, C, count) tags by greedy decoding without repetition.

        Raises ValueError if there are fewer tags than `count`.
        """
        if count > len(tag_TD):
            raise ValueError(f"cannot emit {count} different tags: the vocabulary has {len(tag_TD)}")
        emitted_BCJ, _ = self._decode(memory_BLD, batch, tag_TD, count, None)
        return emitted_BCJ

    @torch.no_grad()
    def log_share_BCT(self, memory_BLD: Tensor, batch: TokenBatch, tag_TD: Tensor, prior_BCT: Tensor) -> Tensor:
        """Return the log probability of each tag in its step of greedy decoding: falling in the order of emission.

        A tag that is more probable in its step than the tag before it was in its own gets the latter's value. Tags that
        are not emitted follow, by their log probability after the last emitted tag.
        """
        emitted_BCJ, log_tag_BCJ = self._decode(memory_BLD, batch, tag_TD, min(EMITTED_TAGS, len(tag_TD)), prior_BCT)
        step_J = torch.arange(log_tag_BCJ.shape[-1], device=log_tag_BCJ.device) * LOG_STEP
        falling_BCJ = (log_tag_BCJ + step_J).cummin(-1).values - step_J
        others_BCT = self(memory_BLD, batch, tag_TD, emitted_BCJ, prior_BCT)[:, :, -1]
        below_BCT = torch.minimum(others_BCT, falling_BCJ[..., -1:] - LOG_STEP)
        return below_BCT.scatter(-1, emitted_BCJ, falling_BCJ)

    def _decode(
        self, memory_BLD: Tensor, batch: TokenBatch, tag_TD: Tensor, count: int, prior_BCT: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the emitted tags (B, C, count), and the log probability of each in its step."""
        emitted_BCJ = batch.cutoff_BC.new_empty((*batch.cutoff_BC.shape, 0))
        log_tag_BCJ = memory_BLD.new_empty((*batch.cutoff_BC.shape, 0))
        for _ in range(count):
            log_tag_BCT = self(memory_BLD, batch, tag_TD, emitted_BCJ, prior_BCT)[:, :, -1]
            best = log_tag_BCT.scatter(-1, emitted_BCJ, HIDDEN).max(-1, keepdim=True)
            emitted_BCJ = torch.cat([emitted_BCJ, best.indices], dim=2)
            log_tag_BCJ = torch.cat([log_tag_BCJ, best.values], dim=2)
        return emitted_BCJ, log_tag_BCJ
