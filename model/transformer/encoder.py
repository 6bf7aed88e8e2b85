"""One vector a token: item, mean of its tags, action, kind, place in its session, and numbers about time.

Shape letters: B users, L tokens, G tags of a token, F numbers of a token, D width, V items, K numbers of an item's
content.

Reads the behaviours of all sessions, each in the light of those before it.

Shape letters: B users, L tokens, D width, H heads.
"""

import torch
from torch import Tensor, nn

from model.transformer.blocks import AgeBias, SelfBlock
from model.transformer.config import NetworkConfig
from model.transformer.masks import encoder_mask_BML
from model.transformer.tokens import KINDS, NUMBERS, TokenBatch

MOST_PLACES = 64  # further events of a session share the last place
STANDARD_DEVIATION = 0.02


class ItemVectors(nn.Module):
    """A learned vector of each known item, and what its content (text, image) says of it where that is known.

    An item that was never trained on has no vector of its own; its content alone speaks for it.
    """

    def __init__(self, items: int, width: int, content_VK: Tensor | None = None) -> None:
        """content_VK: row 0 is of no item; then the known items by code, then unseen ones."""
        super().__init__()
        self.own = nn.Embedding(items + 1, width, padding_idx=0)
        nn.init.normal_(self.own.weight, std=STANDARD_DEVIATION)
        with torch.no_grad():
            self.own.weight[0] = 0
        self.register_buffer("content_VK", content_VK)
        self.of_content = None if content_VK is None else nn.Linear(content_VK.shape[1], width, bias=False)

    def all_VD(self) -> Tensor:
        """Return the vectors of no item, of the known items, and of the unseen ones that have content."""
        if self.of_content is None:
            return self.own.weight
        assert isinstance(self.content_VK, Tensor)
        unseen = self.content_VK.shape[0] - self.own.num_embeddings
        return nn.functional.pad(self.own.weight, (0, 0, 0, unseen)) + self.of_content(self.content_VK)

    def forward(self, item_BL: Tensor) -> Tensor:
        """Return (B, L, D)."""
        return nn.functional.embedding(item_BL, self.all_VD(), padding_idx=0)


class TokenEmbedding(nn.Module):
    """What the encoder sees of each token. A token's vector is told by nothing but that token."""

    def __init__(
        self, size: NetworkConfig, items: int, tags: int, actions: int, content_VK: Tensor | None = None
    ) -> None:
        super().__init__()
        self.items = ItemVectors(items, size.width, content_VK)
        self.tags = nn.Embedding(tags + 1, size.width, padding_idx=0)
        self.actions = nn.Embedding(actions + 1, size.width)
        self.kinds = nn.Embedding(KINDS, size.width)
        self.places = nn.Embedding(MOST_PLACES, size.width)
        for table in (self.tags, self.actions, self.kinds, self.places):
            nn.init.normal_(table.weight, std=STANDARD_DEVIATION)
        with torch.no_grad():
            self.tags.weight[0] = 0
        self.numbers = nn.Linear(len(NUMBERS), size.width)
        self.norm = nn.RMSNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return (B, L, D)."""
        tags_BL = (batch.tag_BLG > 0).sum(-1, keepdim=True).clamp(min=1)
        told_BLD = (
            self.items(batch.item_BL)
            + self.tags(batch.tag_BLG).sum(-2) / tags_BL
            + self.actions(batch.action_BL)
            + self.kinds(batch.kind_BL)
            + self.places(batch.place_BL.clamp(max=MOST_PLACES - 1))
            + self.numbers(batch.number_BLF)
        )
        return self.dropout(self.norm(told_BLD))


class Encoder(nn.Module):
    """A stack of blocks. Position l has seen tokens 0..l and nothing later."""

    def __init__(self, size: NetworkConfig) -> None:
        super().__init__()
        self.size = size
        self.age = AgeBias(size.heads) if size.has_time_bias else None
        self.blocks = nn.ModuleList(SelfBlock(size, is_rotary=True) for _ in range(size.encoder_blocks))
        self.norm = nn.RMSNorm(size.width)

    def forward(self, token_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return (B, L, D); the output of a session's end token is the session's vector."""
        bias_BHLL = self._bias_BHLL(token_BLD, batch)
        for block in self.blocks:
            token_BLD = block(token_BLD, bias_BHLL)
        return self.norm(token_BLD)

    def _bias_BHLL(self, token_BLD: Tensor, batch: TokenBatch) -> Tensor | None:
        """Return what attention adds to each likeness; None where it is merely to look at what came before."""
        if self.age is None and not self.size.is_hierarchical:
            return None
        mask_BHLL = encoder_mask_BML(batch, self.size.is_hierarchical)[:, None]
        bias_BHLL = token_BLD.new_zeros(mask_BHLL.shape)
        if self.age is not None:
            bias_BHLL = self.age(batch.at_BL, batch.at_BL, batch.session_BL, batch.session_BL)
        return bias_BHLL.masked_fill(~mask_BHLL, -float("inf")).expand(-1, self.size.heads, -1, -1)
