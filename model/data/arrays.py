"""Types of arrays, and order and sums within groups.

The last letters of an array's name are its shape; each file has a legend. Shape letters: N elements, each in one group;
U users, T tags.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
AnyArray = NDArray[Any]


def sum_by_group(value_N: Floats, group_N: Ints, groups: int) -> Floats:
    """Return the sum of the values of each group, 0 for one without."""
    # numpy answers in integers where there is nothing to add.
    return np.bincount(group_N, weights=value_N, minlength=groups).astype(np.float64)


def strongest_first(group_N: Ints, score_N: Floats, tie_N: AnyArray) -> tuple[Ints, Ints]:
    """Return the order by group and in each the strongest first, and the place within the group.

    Places start at 0 and follow the order: `place_N[i]` is that of element `order_N[i]`. Equals are ordered by rising
    `tie_N`.
    """
    order_N = np.lexsort((tie_N, -score_N, group_N))
    sorted_group_N = group_N[order_N]
    is_start_N = np.ones(len(order_N), dtype=bool)
    is_start_N[1:] = sorted_group_N[1:] != sorted_group_N[:-1]
    starts = np.flatnonzero(is_start_N)
    place_N = np.arange(len(order_N)) - starts[np.cumsum(is_start_N) - 1]
    return order_N, place_N


def top(count: int, group_N: Ints, score_N: Floats, tie_N: AnyArray) -> Ints:
    """Return the indices of the `count` strongest of each group, group after group, strongest first."""
    order_N, place_N = strongest_first(group_N, score_N, tie_N)
    return order_N[place_N < count]


def places_UT(scores_UT: Floats) -> Floats:
    """Return the place of each tag among those of its user, 0 for the strongest; equals stand by rising column."""
    order_UT = np.argsort(-scores_UT, axis=1, kind="stable")
    place_UT = np.empty(scores_UT.shape)
    np.put_along_axis(place_UT, order_UT, np.arange(scores_UT.shape[1], dtype=np.float64)[None], axis=1)
    return place_UT
