"""Questions on disk, read as they are needed: memory does not grow with the users.

One Arrow file, mapped into memory: a record a user, a record batch a slice of users. How each column lies is in the
metadata of its schema.

Shape letters: U users of the store, B users of a batch.
"""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.data.arrays import Ints
from model.errors import InputError
from model.transformer.columns import Column
from model.transformer.dataset import Batch, Source
from model.transformer.tensors import leaves, rebuilt
from model.transformer.tokens import PADDING

SLICE = 256  # users that are laid out at once
COLUMNS, SLICE_KEY = b"throughline.columns", b"throughline.slice"
LENGTH = "length"


def write_store(file: Path, source: Source, users_at_once: int = SLICE) -> None:
    """Write every user of a source, whole or not at all; memory is that of `users_at_once` users."""
    lengths_U = source.lengths_U()
    slices = np.split(np.arange(len(lengths_U)), range(users_at_once, len(lengths_U), users_at_once))
    partial = file.with_name(f"{file.name}.partial")
    with pa.OSFile(str(partial), "wb") as out:
        writer, columns = None, []
        for user_B in slices:
            told = leaves(source.question(user_B))
            is_token_BL = (told["batch.kind_BL"] != PADDING).numpy()
            if writer is None:
                columns = [Column.of(name, tensor) for name, tensor in told.items()]
                schema = _schema(columns, users_at_once)
                writer = pa.ipc.new_file(out, schema)
            arrays = [array for column in columns for array in column.lists(told[column.name], is_token_BL)]
            writer.write_batch(pa.record_batch([pa.array(lengths_U[user_B], pa.int32()), *arrays], schema=schema))
        assert writer is not None, "a source has one user at least"
        writer.close()
    partial.replace(file)


def _schema(columns: list[Column], users_at_once: int) -> pa.Schema:
    fields = [pa.field(LENGTH, pa.int32()), *(field for column in columns for field in column.fields())]
    told = json.dumps([column.as_json() for column in columns])
    return pa.schema(fields, {COLUMNS: told, SLICE_KEY: str(users_at_once)})


class StoredSource:
    """A Source whose users are on disk; it asks what the source that was written asked, tensor for tensor."""

    def __init__(self, file: Path) -> None:
        """Raises InputError if the file is no store."""
        try:
            self.reader = pa.ipc.open_file(pa.memory_map(str(file)))
            metadata = self.reader.schema.metadata or {}
            self.columns = [Column.from_json(told) for told in json.loads(metadata[COLUMNS])]
            self.slice = int(metadata[SLICE_KEY])
        except (OSError, pa.ArrowInvalid, KeyError) as error:
            raise InputError(
                f"{file} holds no questions to train on ({type(error).__name__}): expected an Arrow file that "
                f"write_store made; write it again"
            ) from error

    @property
    def answers(self) -> int:
        touched = next(column for column in self.columns if column.name == "touched_BCT")
        return int(np.prod(touched.shape))

    @cached_property
    def _lengths_U(self) -> Ints:
        return np.concatenate([np.asarray(piece.column(LENGTH)) for piece in self._pieces()]).astype(np.int64)

    def lengths_U(self) -> Ints:
        return self._lengths_U

    def question(self, user_B: Ints) -> Batch:
        asked, place_B = np.unique(user_B, return_inverse=True)
        slice_B = asked // self.slice
        pieces = []
        for number in np.unique(slice_B):
            rows = pa.array(asked[slice_B == number] % self.slice)
            pieces.append(self.reader.get_batch(int(number)).take(rows))
        return rebuilt(Batch, {column.name: column.tensor(pieces, place_B) for column in self.columns})

    def _pieces(self) -> Iterator[pa.RecordBatch]:
        return (self.reader.get_batch(number) for number in range(self.reader.num_record_batches))
