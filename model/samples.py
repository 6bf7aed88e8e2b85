"""The users from whom a day's model learns: those of the lowest hash, over all shards."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date

import pyarrow as pa

from model.counts.fit import MOST_USERS, sample
from model.scorer import Scorer, ScorerAsOf
from model.shards import COMPRESSED, Shards, read_rows


def fitted(shards: Shards, days: Sequence[date], scorer_as_of: ScorerAsOf) -> dict[date, Scorer]:
    """Return the scorer of each of the consecutive `days`, learnt from the sample that the whole table would give."""
    files = {day: shards.folder / f"sample-{day}.arrow" for day in days}
    missing = dict.fromkeys(days, MOST_USERS)
    with ExitStack() as stack:
        writers = {
            day: stack.enter_context(pa.ipc.new_stream(str(file), shards.schema, options=COMPRESSED))
            for day, file in files.items()
        }
        for shard in range(shards.count):
            if not any(missing.values()):
                break
            for day, known in shards.known_by_day(shard, days):
                sampled = sample(known, missing[day])
                writers[day].write_table(sampled)
                missing[day] -= len(sampled)
    return {day: scorer_as_of(read_rows(file), day) for day, file in files.items()}
