"""Some users instead of all, to try a benchmark out. Shape letter: U users."""

from collections.abc import Iterable

import numpy as np

from model.arrays import Bools
from model.user_hash import stable_hash


def lowest_hashes_U(user_ids: Iterable[str], at_most: int) -> Bools:
    """Return which of the users have the `at_most` lowest hashes: the same ones every time."""
    hash_U = stable_hash(user_ids)
    is_kept_U = np.zeros(len(hash_U), dtype=bool)
    is_kept_U[np.argsort(hash_U, kind="stable")[:at_most]] = True
    return is_kept_U
