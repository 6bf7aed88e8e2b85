"""The encoder: token embeddings, then causal self-attention over the events of all sessions.

Shape letters: B users, L tokens, G tags of a token, F numbers of a token, D width, H heads, V items, K numbers of an
item's content.
"""

import torch
from torch import Tensor, nn

from model.transformer.blocks import AgeBias, SelfBlock
from model.transformer.config import NetworkConfig
from model.transformer.masks import encoder_mask_BML
from model.transformer.tokens import KINDS, NUMBERS, TokenBatch

MAX_POSITIONS = 64  # later events of a session share the last position
INITIAL_STD = 0.02


class ItemVectors(nn.Module):
    """A learned vector of each known item, plus a projection of its content vector (text, image) if there are any.

    An item that was not in the training has no learned vector and is represented by its content alone.
    """

    def __init__(self, items: int, width: int, content_VK: Tensor | None = None) -> None:
        """content_VK: row 0 is for no item; then the known items by code, then unseen items."""
        super().__init__()
        self.learned = nn.Embedding(items + 1, width, padding_idx=0)
        nn.init.normal_(self.learned.weight, std=INITIAL_STD)
        with torch.no_grad():
            self.learned.weight[0] = 0
        self.register_buffer("content_VK", content_VK)
        self.from_content = None if content_VK is None else nn.Linear(content_VK.shape[1], width, bias=False)

    def all_VD(self) -> Tensor:
        """Return the vectors of no item, of the known items, and of the unseen items that have content."""
        if self.from_content is None:
            return self.learned.weight
        assert isinstance(self.content_VK, Tensor)
        unseen = self.content_VK.shape[0] - self.learned.num_embeddings
        return nn.functional.pad(self.learned.weight, (0, 0, 0, unseen)) + self.from_content(self.content_VK)

    def forward(self, item_BL: Tensor) -> Tensor:
        """Return (B, L, D)."""
        return nn.functional.embedding(item_BL, self.all_VD(), padding_idx=0)


class TokenEmbedding(nn.Module):
    """The vector of each token: the sum of its item, the mean of its tags, its action, kind, position and numbers."""

    def __init__(
        self, config: NetworkConfig, items: int, tags: int, actions: int, content_VK: Tensor | None = None
    ) -> None:
        super().__init__()
        self.items = ItemVectors(items, config.width, content_VK)
        self.tags = nn.Embedding(tags + 1, config.width, padding_idx=0)
        self.actions = nn.Embedding(actions + 1, config.width)
        self.kinds = nn.Embedding(KINDS, config.width)
        self.positions = nn.Embedding(MAX_POSITIONS, config.width)
        for table in (self.tags, self.actions, self.kinds, self.positions):
            nn.init.normal_(table.weight, std=INITIAL_STD)
        with torch.no_grad():
            self.tags.weight[0] = 0
        self.numbers = nn.Linear(len(NUMBERS), config.width)
        self.norm = nn.RMSNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return (B, L, D)."""
        tags_BL1 = (batch.tag_BLG > 0).sum(-1, keepdim=True).clamp(min=1)
        token_BLD = (
            self.items(batch.item_BL)
            + self.tags(batch.tag_BLG).sum(-2) / tags_BL1
            + self.actions(batch.action_BL)
            + self.kinds(batch.kind_BL)
            + self.positions(batch.position_BL.clamp(max=MAX_POSITIONS - 1))
            + self.numbers(batch.number_BLF)
        )
        return self.dropout(self.norm(token_BLD))


class Encoder(nn.Module):
    """A stack of self-attention blocks. Position l sees tokens 0..l and nothing later."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.age = AgeBias(config.heads) if config.has_time_bias else None
        self.blocks = nn.ModuleList(SelfBlock(config, is_rotary=True) for _ in range(config.encoder_blocks))
        self.norm = nn.RMSNorm(config.width)

    def forward(self, token_BLD: Tensor, batch: TokenBatch) -> Tensor:
        """Return (B, L, D). The output at a session's end token is the session's vector."""
        bias_BHLL = self._bias_BHLL(token_BLD, batch)
        for block in self.blocks:
            token_BLD = block(token_BLD, bias_BHLL)
        return self.norm(token_BLD)

    def _bias_BHLL(self, token_BLD: Tensor, batch: TokenBatch) -> Tensor | None:
        """Return the attention bias, None if plain causal attention is enough."""
        if self.age is None and not self.config.is_hierarchical:
            return None
        mask_BHLL = encoder_mask_BML(batch, self.config.is_hierarchical)[:, None]
        bias_BHLL = token_BLD.new_zeros(mask_BHLL.shape)
        if self.age is not None:
            bias_BHLL = self.age(batch.at_BL, batch.at_BL, batch.session_BL, batch.session_BL)
        return bias_BHLL.masked_fill(~mask_BHLL, -float("inf")).expand(-1, self.config.heads, -1, -1)
