"""Broadcast joins: a small side is sent to every task, so that the large side is not shuffled."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

MAX_BROADCAST_ROWS = 1_000_000  # of one or two ids each; more rows cost more to send than the shuffle
# An option of the session: set if its whole log is so short that no set of users or ids needs to be counted.
SHORT_LOG = "spark.throughline.shortLog"


def broadcast_if_small(rows: DataFrame) -> DataFrame:
    """Compute the rows, and mark them for a broadcast join if there are few of them."""
    computed = rows.localCheckpoint()
    is_short = rows.sparkSession.conf.get(SHORT_LOG, "") == "true"
    return F.broadcast(computed) if is_short or computed.count() <= MAX_BROADCAST_ROWS else computed
