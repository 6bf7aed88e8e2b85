"""The whole network: tokens, encoder, memory, interests, and the heads that predict from them.

Shape letters: B users, L tokens, C cutoffs, T tags, V items, P stacked features of a user and tag, W pointer counts,
R rates, D width, S sessions of the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.transformer.config import NetworkConfig
from model.transformer.decoder import InterestDecoder, Interests, TagSequenceDecoder
from model.transformer.encoder import Encoder, TokenEmbedding
from model.transformer.heads import (
    POINTER_HALF_LIVES_DAYS,
    RATES,
    AffinityScale,
    MixtureHead,
    PointerHead,
    RecencyFeatures,
    ReturnHead,
)
from model.transformer.tokens import END, TokenBatch


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """The predictions of a network for each user at each cutoff."""

    memory_BLD: Tensor
    interests: Interests
    log_share_BCT: Tensor  # log probability of each tag as the next one touched; the ranking
    rate_BCR: Tensor
    affinity_BCT: Tensor  # log-odds that the user touches the tag in the window; same ranking
    return_BC: Tensor  # log-odds that the user returns in the window


class InterestTransformer(nn.Module):
    """Cross-session user interest model: an encoder of all sessions and a decoder of interests."""

    def __init__(
        self,
        config: NetworkConfig,
        items: int,
        tags: int,
        actions: int,
        features: int = 0,
        content_VK: Tensor | None = None,
    ) -> None:
        """features: P, the number of stacked features. content_VK: see `ItemVectors`."""
        super().__init__()
        self.embedding = TokenEmbedding(config, items, tags, actions, content_VK)
        self.encoder = Encoder(config)
        self.interest_decoder = InterestDecoder(config, tags)
        self.tag_sequence_decoder = TagSequenceDecoder(config, tags) if config.has_tag_sequence_decoder else None
        self.ranks_by_tag_sequence = config.ranks_by_tag_sequence
        self.pointer_head = PointerHead(config.width, actions, tags) if config.has_pointer_head else None
        self.mixture_head = MixtureHead(features, len(POINTER_HALF_LIVES_DAYS) if config.has_pointer_head else 0)
        self.affinity_scale = AffinityScale(RATES)
        self.return_head = ReturnHead()

    @property
    def device(self) -> torch.device:
        return self.interest_decoder.query_KD.device

    @property
    def tag_TD(self) -> Tensor:
        return self.embedding.tags.weight[1:]

    def encode(self, batch: TokenBatch) -> Tensor:
        """Return the memory (B, L, D); position l sees tokens 0..l and nothing later."""
        memory_BLD: Tensor = self.encoder(self.embedding(batch), batch)
        return memory_BLD

    def forward(self, batch: TokenBatch, stacked_BCTP: Tensor | None = None) -> NetworkOutput:
        """Predict at each cutoff from the tokens before it and from the stacked features.

        stacked_BCTP: None if the network has no stacked features.
        """
        memory_BLD = self.encode(batch)
        interests: Interests = self.interest_decoder(memory_BLD, batch, self.tag_TD)
        log_mixture_BCT = interests.log_mixture_BCT()
        if stacked_BCTP is None:
            stacked_BCTP = log_mixture_BCT.new_empty((*log_mixture_BCT.shape, 0))
        pointer_BCTW = self.pointer_head(memory_BLD, batch) if self.pointer_head else None
        log_share_BCT = self.mixture_head(stacked_BCTP, log_mixture_BCT, pointer_BCTW)
        if self.ranks_by_tag_sequence and not self.training:  # in training the loss reads its steps instead
            decoder = self._tag_sequence_decoder()
            log_share_BCT = decoder.log_share_BCT(memory_BLD, batch, self.tag_TD, log_share_BCT)
        features = RecencyFeatures.of(batch)
        rate_BCR = features.rates_BCR().to(log_share_BCT.dtype)
        return NetworkOutput(
            memory_BLD,
            interests,
            log_share_BCT,
            rate_BCR,
            self.affinity_scale(log_share_BCT, rate_BCR),
            self.return_head(features.recency_BCF().to(log_share_BCT.dtype)),
        )

    def initialize_mixture(self, weight_P: Tensor) -> None:
        """Set the weights of the stacked features. Raises ValueError if their number differs."""
        features = len(self.mixture_head.weight_P)
        if len(weight_P) != features:
            raise ValueError(f"expected weights of {features} stacked features, got {len(weight_P)}")
        with torch.no_grad():
            self.mixture_head.weight_P.copy_(weight_P)

    def log_tag_sequence(
        self, memory_BLD: Tensor, batch: TokenBatch, emitted_BCJ: Tensor, prior_BCT: Tensor | None = None
    ) -> Tensor:
        """Return (B, C, J + 1, T) as `TagSequenceDecoder.forward`. Raises ValueError if the network has none."""
        log_tag_BCJT: Tensor = self._tag_sequence_decoder()(memory_BLD, batch, self.tag_TD, emitted_BCJ, prior_BCT)
        return log_tag_BCJT

    def emit_tags(self, batch: TokenBatch, count: int) -> Tensor:
        """Return (B, C, count) tags, 0 for the first of the vocabulary. Raises ValueError as `log_tag_sequence`."""
        return self._tag_sequence_decoder().emit(self.encode(batch), batch, self.tag_TD, count)

    def _tag_sequence_decoder(self) -> TagSequenceDecoder:
        if self.tag_sequence_decoder is None:
            raise ValueError("this network has no tag sequence decoder: set has_tag_sequence_decoder in its config")
        return self.tag_sequence_decoder


def session_vectors(memory_BLD: Tensor, batch: TokenBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return the vector (S, D) of each session, its user in the batch and its index within the user.

    Raises ValueError if the batch has no session tokens.
    """
    is_end_BL = batch.kind_BL == END
    if not is_end_BL.any():
        raise ValueError("found no end token: a session's vector is the output at its end token; use session tokens")
    user_S, position_S = torch.nonzero(is_end_BL, as_tuple=True)
    return memory_BLD[user_S, position_S], user_S, batch.session_BL[user_S, position_S]
