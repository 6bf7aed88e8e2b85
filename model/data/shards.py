"""Users in shards, so that a night needs the memory of one shard, however many users there are.

A shard is a range of `stable_hash`, and shards stand in its order: the users of the lowest hash, from whom a model
learns, are those of the first shards.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shutil import rmtree

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from model.data.arrays import Ints
from model.data.exchange import ALL_USERS, Part
from model.data.sequences import known_by_day
from model.data.users import stable_hash

ROWS_PER_SHARD = 20_000  # as many users at most, and fewer the more often they come
MOST_SHARDS = 512  # each is an open file while rows are dealt out
COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class Shards:
    """Rows of sequences, dealt out into one file a shard. part: whose users are scored; a model learns from all."""

    folder: Path
    count: int
    schema: pa.Schema
    part: Part = ALL_USERS

    @property
    def scored(self) -> range:
        """The shards whose users are scored."""
        return self.part.range_of(self.count)

    def known_by_day(self, shard: int, days: Sequence[date]) -> Iterator[tuple[date, pa.Table]]:
        """Yield for each of the consecutive `days` the newest row of every user of the shard."""
        rows = read_rows(self.file(shard))

        def as_of(day: date) -> pa.Table:
            return rows.filter(pc.equal(rows["as_of"], pa.scalar(day, pa.date32())))

        return known_by_day(as_of, days)

    def file(self, shard: int) -> Path:
        return self.folder / f"shard-{shard}.arrow"


@contextmanager
def dealt_out(
    batches: Iterable[pa.Table], count: int, schema: pa.Schema, folder: Path, part: Part = ALL_USERS
) -> Iterator[Shards]:
    """Write every row to the file of its shard; remove `folder` at the end, after a failure too.

    What a killed run left in `folder` is removed first.
    """
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        shards = Shards(folder, count, schema, part)
        with ExitStack() as stack:
            writers = [stack.enter_context(pa.ipc.new_stream(str(shards.file(number)), schema, options=COMPRESSED))
                       for number in range(count)]  # fmt: skip
            for rows in batches:
                shard_U = shards_of(stable_hash(rows["user_id"].to_pylist()), count)
                together = rows.take(pa.array(np.argsort(shard_U, kind="stable")))
                ends = np.cumsum(np.bincount(shard_U, minlength=count)).tolist()
                for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
                    if end > start:
                        writers[number].write_table(together.slice(start, end - start))
        yield shards
    finally:
        rmtree(folder, ignore_errors=True)


def count_for(rows: int, part: Part = ALL_USERS) -> int:
    """Return how many shards `rows` rows need: at least one a part."""
    return min(max(part.count, -(-rows // ROWS_PER_SHARD)), MOST_SHARDS)


def shards_of(hash_U: NDArray[np.uint64], count: int) -> Ints:
    """Return the shard of each user: a higher hash never has a lower shard."""
    thirty_two = np.uint64(32)
    return (((hash_U >> thirty_two) * np.uint64(count)) >> thirty_two).astype(np.int64)


def read_rows(file: Path) -> pa.Table:
    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_all().combine_chunks()
