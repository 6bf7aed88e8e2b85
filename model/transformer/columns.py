"""How a tensor of a question lies on disk: one list a user, in one of three layouts.

The letters of a tensor's name tell its axes, users (B) first. Where the second is tokens (L), a user has as many
entries as tokens. Where one is tags (T), a user has those cells that differ from what most users have, if that is
shorter. Anything else is there whole.

Shape letters: B users, L tokens, R cells of a user, X all that follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from model.data.arrays import AnyArray, Bools, Ints
from model.transformer.tokens import PADDING

LARGEST = np.iinfo(np.int32).max
SPARSEST = 0.5  # a cell costs its number beside its value, so sparse pays below half


@dataclass(frozen=True, eq=False)
class Column:
    """A tensor's place on disk. Fixed by the first users that were written, right for all others too."""

    name: str  # path of fields
    layout: str  # "tokens", "cells" or "whole"
    type: str  # of the tensor
    stored: str  # of the list
    shape: tuple[int, ...]  # of a user; of a token
    usual_R: AnyArray | None = None  # what the cells of most users hold

    @classmethod
    def of(cls, name: str, tensor: Tensor) -> "Column":
        """Return the column for tensors like this one of several users.

        Raises ValueError if the tokens of a user do not lie together.
        """
        value = tensor.numpy()
        axes = name.rsplit("_", 1)[1]
        if "L" in axes[2:]:
            raise ValueError(f"{name} has the axes {axes}: expected tokens (L) right after users (B), or not at all")
        shape, kind = value.shape[1:], str(value.dtype)
        stored = "int32" if kind == "int64" and np.abs(value).max(initial=0) <= LARGEST else kind
        if axes.startswith("BL"):
            return cls(name, "tokens", kind, stored, shape[1:])
        if "T" in axes:
            value_BR = value.reshape(len(value), -1)
            usual_R = np.sort(value_BR, axis=0)[len(value) // 2]
            if (value_BR != usual_R).sum() < SPARSEST * value_BR.size:
                return cls(name, "cells", kind, stored, shape, usual_R)
        return cls(name, "whole", kind, stored, shape)

    def fields(self) -> list[pa.Field]:
        listed = pa.list_(pa.from_numpy_dtype(np.dtype(self.stored)))
        cells = [pa.field(f"{self.name}.cell", pa.list_(pa.int32()))] if self.layout == "cells" else []
        return [pa.field(self.name, listed), *cells]

    def lists(self, tensor: Tensor, is_token_BL: Bools) -> list[pa.Array]:
        """Return the arrays of `fields`. Raises ArrowInvalid if a number does not fit the stored type."""
        value = tensor.numpy()
        if self.layout == "tokens":
            flat, cells_B = value[is_token_BL], is_token_BL.sum(1) * int(np.prod(self.shape))
            return [self._listed(flat, cells_B)]
        value_BR = value.reshape(len(value), -1)
        if self.layout == "whole":
            return [self._listed(value_BR, np.full(len(value), value_BR.shape[1]))]
        differs_BR = value_BR != self.usual_R
        cells_B = differs_BR.sum(1)
        cell = pa.array(np.nonzero(differs_BR)[1], pa.int32())
        return [self._listed(value_BR[differs_BR], cells_B), pa.ListArray.from_arrays(_starts(cells_B), cell)]

    def tensor(self, pieces: Sequence[pa.RecordBatch], order_B: Ints) -> Tensor:
        """Return the tensor of the users of the pieces, user i of it being user `order_B[i]` of them."""
        flat, cells_N = _joined(pieces, self.name)
        start_N, users = np.cumsum(cells_N) - cells_N, len(cells_N)
        if self.layout == "tokens":
            wide = int(np.prod(self.shape))
            length_B, start_B = cells_N[order_B] // wide, start_N[order_B] // wide
            place_L = np.arange(length_B.max())
            token_BL = start_B[:, None] + np.minimum(place_L, length_B[:, None] - 1)
            value = flat.reshape(-1, *self.shape)[token_BL]
            if self.name.endswith("kind_BL"):
                value[place_L >= length_B[:, None]] = PADDING
        elif self.layout == "whole":
            value = flat.reshape(users, *self.shape)[order_B]
        else:
            value_NR = np.repeat(np.asarray(self.usual_R)[None], users, axis=0)
            value_NR[np.repeat(np.arange(users), cells_N), _joined(pieces, f"{self.name}.cell")[0]] = flat
            value = value_NR.reshape(users, *self.shape)[order_B]
        return torch.from_numpy(value.astype(self.type))

    def _listed(self, value: AnyArray, cells_B: Ints) -> pa.Array:
        cells = pa.array(value.reshape(-1)).cast(pa.from_numpy_dtype(np.dtype(self.stored)))
        return pa.ListArray.from_arrays(_starts(cells_B), cells)

    def as_json(self) -> dict[str, Any]:
        usual = None if self.usual_R is None else self.usual_R.tolist()
        return {**self.__dict__, "usual_R": usual}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Column":
        usual_R = None if told["usual_R"] is None else np.array(told["usual_R"], told["type"])
        return cls(**{**told, "shape": tuple(told["shape"]), "usual_R": usual_R})


def _starts(cells_B: Ints) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(cells_B)]), pa.int32())


def _joined(pieces: Sequence[pa.RecordBatch], name: str) -> tuple[AnyArray, Ints]:
    """Return the cells of all users end to end, and how many each has."""
    columns = [piece.column(name) for piece in pieces]
    flat = np.concatenate([column.flatten().to_numpy(zero_copy_only=False) for column in columns])
    return flat, np.concatenate([np.asarray(column.value_lengths()) for column in columns]).astype(np.int64)
