"""The union of many frames, by plans that stay short: Spark Connect cannot send one of a hundred levels."""

import uuid
from collections.abc import Sequence

from pyspark.sql import DataFrame


def union(frames: Sequence[DataFrame], allow_missing_columns: bool = False) -> DataFrame:
    """Return the rows of all frames, by the names of their columns; there must be a frame.

    The plan is a balanced tree, so its depth is the logarithm of the number of frames.
    """
    frames = list(frames)
    while len(frames) > 1:
        pairs = zip(frames[::2], frames[1::2], strict=False)
        odd = frames[-1:] if len(frames) % 2 else []
        frames = [left.unionByName(right, allow_missing_columns) for left, right in pairs] + odd
    return frames[0]


def behind_view(frame: DataFrame) -> DataFrame:
    """Return the frame as a temporary view of the session, whose plan is one level deep.

    Spark analyses the frame now, and once, however often the view is read. Nothing is computed.
    """
    name = f"view_{uuid.uuid4().hex}"
    frame.createTempView(name)
    return frame.sparkSession.table(name)
