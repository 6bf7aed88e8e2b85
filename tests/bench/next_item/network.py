"""A network that predicts the next item from the items of a user in order.

Shape letters: B users, L places of a window, D width, N places that count, V items.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.transformer.blocks import SelfBlock
from model.transformer.config import NetworkConfig
from tests.bench.next_item.windows import WindowBatch

STANDARD_DEVIATION = 0.02


@dataclass(frozen=True)
class ItemSize:
    """The settings that fix the shapes of a network."""

    width: int = 64
    heads: int = 2
    blocks: int = 2
    dropout: float = 0.2
    places: int = 512  # of a user's history, each with its own vector; later places share the last one

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class NextItemNet(nn.Module):
    """Gated blocks between two uses of one table of items. Position l has seen items 0..l and nothing later.

    The position of a token enters twice: by the rotation of queries and keys (the distance of two tokens) and by a
    vector of its place in the user's history, wherever the window begins.
    Sources: SASRec (Kang and McAuley 2018) for the tied head; LiGR (Borisyuk et al. 2025) for the gates.
    """

    def __init__(self, size: ItemSize, items: int) -> None:
        super().__init__()
        self.size, self.items = size, items
        self.item = nn.Embedding(items, size.width)
        self.place = nn.Embedding(size.places, size.width)
        for table in (self.item, self.place):
            nn.init.normal_(table.weight, std=STANDARD_DEVIATION)
        shape = NetworkConfig(size.width, size.heads, size.blocks, decoder_blocks=0, interests=0, dropout=size.dropout)
        self.blocks = nn.ModuleList(SelfBlock(shape, is_rotary=True) for _ in range(size.blocks))
        self.first_norm, self.last_norm = nn.RMSNorm(size.width), nn.RMSNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, batch: WindowBatch) -> Tensor:
        """Return (B, L, D): what is expected after each place, in the space of `item.weight`."""
        value_BLD = self._read(batch)
        for block in self.blocks:
            value_BLD = block(value_BLD, None)
        return self.last_norm(value_BLD)

    def newest_BD(self, batch: WindowBatch) -> Tensor:
        """Return the output of `forward` at the newest place of each window.

        In the last block the gates and the feed-forward layer compute no other place.
        """
        value_BLD = self._read(batch)
        *first_ones, last = self.blocks
        assert isinstance(last, SelfBlock)
        for block in first_ones:
            value_BLD = block(value_BLD, None)
        return self.last_norm(_newest_BD(last, value_BLD, batch.length_B))

    @torch.inference_mode()
    def log_probability_BV(self, batch: WindowBatch) -> Tensor:
        """Return the logarithm of each item's chance to come after the newest place of each window."""
        return torch.log_softmax(self.newest_BD(batch) @ self.item.weight.T, dim=-1)

    def _read(self, batch: WindowBatch) -> Tensor:
        place_BL = batch.place_BL.clamp(max=self.size.places - 1)
        return self.dropout(self.first_norm(self.item(batch.item_BL) + self.place(place_BL)))


def _newest_BD(block: SelfBlock, value_BLD: Tensor, length_B: Tensor) -> Tensor:
    """Return the output of a causal block at the last real place of each row, of which `length_B` are real."""
    newest = (torch.arange(len(length_B)), length_B - 1)
    normed_BLD = block.attention_norm(value_BLD)
    attended_BD = block.attention(normed_BLD, normed_BLD, None)[newest]
    value_BD = block.attention_gate(value_BLD[newest], block.dropout(attended_BD))
    update_BD: Tensor = block.feed_forward(block.feed_forward_norm(value_BD))
    newest_BD: Tensor = block.feed_forward_gate(value_BD, block.dropout(update_BD))
    return newest_BD
