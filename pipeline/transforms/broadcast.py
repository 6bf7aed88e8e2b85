"""Joins with few rows: sent to every task, so that the many rows on the other side stay where they are."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

MOST_ROWS = 1_000_000  # of an id or two each; beyond, sending them would cost more than it saves


def broadcast_if_small(rows: DataFrame) -> DataFrame:
    """Compute the rows, and tell Spark to send them to every task if they are few."""
    computed = rows.localCheckpoint()
    return F.broadcast(computed) if computed.count() <= MOST_ROWS else computed
