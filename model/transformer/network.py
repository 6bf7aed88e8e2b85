"""The whole: tokens -> encoder -> memory -> interests, affinities, next items, return.

Shape letters: B users, L tokens, C cuts, K interests, T tags, V items, P paths, D width,
R rates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.transformer.config import NetworkConfig
from model.transformer.decoder import InterestDecoder, Interests, TagSequenceDecoder
from model.transformer.encoder import Encoder, TokenEmbedding
from model.transformer.heads import (
    HALF_LIVES_DAYS,
    RATES,
    AffinityScale,
    MixtureHead,
    PointerHead,
    RecencyFeatures,
    ReturnHead,
)
from model.transformer.tokens import END, TokenBatch

OWN_WAYS = len(HALF_LIVES_DAYS)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says of each user at each cut."""

    memory_BLD: Tensor
    interests: Interests
    log_share_BCT: Tensor  # log probability of each tag as the next one touched, by paths and interests: the ranking
    rate_BCR: Tensor  # what tells how much the user will do
    affinity_BCT: Tensor  # log-odds that the user touches the tag in the window, ranked alike
    return_BC: Tensor  # log-odds that the user comes back in the window


class InterestTransformer(nn.Module):
    """Cross-session user interest modelling by encoder and decoder, as MODEL.md 1 lists its parts."""

    def __init__(
        self, size: NetworkConfig, items: int, tags: int, actions: int, paths: int = 0, content_VK: Tensor | None = None
    ) -> None:
        """paths: numbers about each user and tag that come from outside, such as logarithms of decayed counts."""
        super().__init__()
        self.embedding = TokenEmbedding(size, items, tags, actions, content_VK)
        self.encoder = Encoder(size)
        self.interests = InterestDecoder(size, tags)
        self.tag_sequence = TagSequenceDecoder(size, tags)
        self.own_tags = PointerHead(size.width, actions, tags) if size.has_own_tags else None
        own_ways = OWN_WAYS if size.has_own_tags else 0
        self.repeat_explore = MixtureHead(paths, own_ways)
        self.affinity_scale = AffinityScale(RATES)
        self.returning = ReturnHead()

    @property
    def tag_TD(self) -> Tensor:
        return self.embedding.tags.weight[1:]

    def encode(self, batch: TokenBatch) -> Tensor:
        """Return the memory (B, L, D); position l has seen tokens 0..l and nothing later."""
        memory_BLD: Tensor = self.encoder(self.embedding(batch), batch)
        return memory_BLD

    def forward(self, batch: TokenBatch, stacked_BCTP: Tensor | None = None) -> Answer:
        """Answer at each cut from what stood before it, and from the paths.

        stacked_BCTP: as many numbers a tag as the network has paths; None where it has none.
        """
        memory_BLD = self.encode(batch)
        interests: Interests = self.interests(memory_BLD, batch, self.tag_TD)
        log_mixture_BCT = interests.log_mixture_BCT()
        if stacked_BCTP is None:
            stacked_BCTP = log_mixture_BCT.new_empty((*log_mixture_BCT.shape, 0))
        own_BCTW = self.own_tags(memory_BLD, batch) if self.own_tags else None
        log_share_BCT = self.repeat_explore(stacked_BCTP, log_mixture_BCT, own_BCTW)
        came = RecencyFeatures.of(batch)
        rate_BCR = came.rates_BCR().to(log_share_BCT.dtype)
        return Answer(
            memory_BLD,
            interests,
            log_share_BCT,
            rate_BCR,
            self.affinity_scale(log_share_BCT, rate_BCR),
            self.returning(came.recency_BCF().to(log_share_BCT.dtype)),
        )

    def start_from(self, weight_P: Tensor) -> None:
        """Begin with a fit of the paths alone. Raises ValueError if it is of other paths."""
        own = len(self.repeat_explore.weight_P)
        if len(weight_P) != own:
            raise ValueError(f"a fit of {len(weight_P)} paths was given, the network has {own}")
        with torch.no_grad():
            self.repeat_explore.weight_P.copy_(weight_P)

    def next_items(self, memory_BLD: Tensor) -> Tensor:
        """Return how strongly each item is expected after each token, (B, L, V): code 1 first, unseen ones last."""
        return memory_BLD @ self.embedding.items.all_VD()[1:].T

    def emit_tags(self, batch: TokenBatch, count: int) -> Tensor:
        """Return (B, C, count) tags, 0 for the first of the vocabulary, the likeliest sequence step by step."""
        return self.tag_sequence.emit(self.encode(batch), batch, self.tag_TD, count)


def session_vectors(memory_BLD: Tensor, batch: TokenBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return each whole session's vector (S, D), its user in the batch and its ordinal.

    Raises ValueError if the batch was laid out without session tokens.
    """
    is_end_BL = batch.kind_BL == END
    if not is_end_BL.any():
        raise ValueError("no end token found: the output of the end token is a session's vector; use session tokens")
    user_S, place_S = torch.nonzero(is_end_BL, as_tuple=True)
    return memory_BLD[user_S, place_S], user_S, batch.session_BL[user_S, place_S]
