"""Arrays that this package computes with. A name's last letters tell its shape; each file has the legend."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
AnyArray = NDArray[Any]


def summed(value_N: Floats, group_N: Ints, groups: int) -> Floats:
    """Return the sum of the values of each group, 0 for one without."""
    # numpy answers in integers where there is nothing to add.
    return np.bincount(group_N, weights=value_N, minlength=groups).astype(np.float64)
