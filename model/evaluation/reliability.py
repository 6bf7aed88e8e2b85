"""The points of a reliability plot. Shape letter: N predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.arrays import Bools, Floats

BINS = 15


@dataclass(frozen=True)
class Point:
    """What was foretold and what came, of one bin."""

    stated: float
    observed: float
    count: int

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)


def reliability(probability_N: Floats, is_true_N: Bools) -> Sequence[Point]:
    """Return the mean probability and the share of what came, over the bins that the calibration error is over."""
    order_N = np.argsort(probability_N, kind="stable")
    return tuple(
        Point(float(probability_N[members].mean()), float(is_true_N[members].mean()), len(members))
        for members in np.array_split(order_N, BINS)
        if len(members)
    )
