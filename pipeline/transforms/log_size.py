"""What depends on the size of a log: small sides of joins are sent to every task, and a short log has few tasks."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

MAX_BROADCAST_ROWS = 1_000_000  # of one or two ids each; more rows cost more to send than the shuffle
# An option of the session: set if its whole log is so short that no set of users or ids needs to be counted, and that
# the start of a task costs more than its rows.
SHORT_LOG = "spark.throughline.shortLog"


def broadcast_if_small(rows: DataFrame) -> DataFrame:
    """Compute the rows, and mark them for a broadcast join if there are few of them."""
    computed = rows.localCheckpoint()
    is_small = _is_short_log(rows) or computed.count() <= MAX_BROADCAST_ROWS
    return F.broadcast(computed) if is_small else computed


def in_few_tasks(rows: DataFrame) -> DataFrame:
    """Let as many tasks compute the rows of a short log as a shuffle has, in place of one or more a file.

    Each task reads the whole plan. With forty sources that took a third of the processor time of `clean`.
    """
    if not _is_short_log(rows):
        return rows
    return rows.coalesce(int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1))


def _is_short_log(rows: DataFrame) -> bool:
    return rows.sparkSession.conf.get(SHORT_LOG, "") == "true"
