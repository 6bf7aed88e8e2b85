"""One vector a token: item, mean of its tags, action, kind, place in its session, and numbers about time.

Shape letters: B users, L tokens, G tags of a token, F numbers of a token, D width, V items, K numbers of an item's
content.
"""

import torch
from torch import Tensor, nn

from model.transformer.batch import Batch
from model.transformer.layout import KINDS, NUMBERS
from model.transformer.size import Size

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

    def __init__(self, size: Size, items: int, tags: int, actions: int, content_VK: Tensor | None = None) -> None:
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

    def forward(self, batch: Batch) -> Tensor:
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
