"""Broadcast joins: a small side is sent to every task, so that the large side is not shuffled."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

MAX_BROADCAST_ROWS = 1_000_000  # of one or two ids each; more rows cost more to send than the shuffle


def broadcast_if_small(rows: DataFrame) -> DataFrame:
    """Compute the rows, and mark them for a broadcast join if there are few of them."""
    computed = rows.localCheckpoint()
    return F.broadcast(computed) if computed.count() <= MAX_BROADCAST_ROWS else computed
