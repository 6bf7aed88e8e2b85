"""What a checkpoint knows by name: items, tags, actions. Code 0 is whatever it does not know.

Shape letters: N things.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.arrays import AnyArray, Ints, Texts
from model.history import NO_ITEM, History

UNKNOWN = 0


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Sorted names; the code of a name is its place plus 1. Made from what was known when training ended."""

    items: Ints
    tags: Texts
    actions: Texts

    @classmethod
    def of(cls, history: History, fewest_events_of_item: int = 1) -> "Vocabulary":
        """Take the tags and actions of a history, and the items that occur in `fewest_events_of_item` events."""
        items, events = np.unique(history.item_E[history.item_E != NO_ITEM], return_counts=True)
        return cls(
            items=items[events >= fewest_events_of_item],
            tags=history.tag_T[np.unique(history.tag_M)],
            actions=np.unique(history.action_A[np.unique(history.action_E)].astype(str)).astype(object),
        )

    def item_codes(self, item_N: Ints) -> Ints:
        return _codes(self.items, item_N)

    def tag_codes(self, tag_N: Texts) -> Ints:
        return _codes(self.tags, tag_N)

    def action_codes(self, action_N: Texts) -> Ints:
        return _codes(self.actions, action_N)

    def as_json(self) -> dict[str, Any]:
        return {"items": self.items.tolist(), "tags": self.tags.tolist(), "actions": self.actions.tolist()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Vocabulary":
        return cls(
            np.array(told["items"], dtype=np.int64),
            np.array(told["tags"], dtype=object),
            np.array(told["actions"], dtype=object),
        )


def _codes(known: AnyArray, name_N: AnyArray) -> Ints:
    if not len(known):
        return np.zeros(len(name_N), dtype=np.int64)
    place_N = np.minimum(np.searchsorted(known, name_N), len(known) - 1)
    return np.where(known[place_N] == name_N, place_N + 1, UNKNOWN).astype(np.int64)
