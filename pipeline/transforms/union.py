"""The union of many frames."""

from collections.abc import Sequence

from pyspark.sql import DataFrame


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of all frames, by the names of their columns; there must be a frame.

    The plan is a balanced tree: Spark Connect cannot send one that is a hundred levels deep.
    """
    frames = list(frames)
    while len(frames) > 1:
        pairs = zip(frames[::2], frames[1::2], strict=False)
        odd = frames[-1:] if len(frames) % 2 else []
        frames = [left.unionByName(right) for left, right in pairs] + odd
    return frames[0]
