"""A number for every user that is the same in every process, on every machine, in every version of Python.

Shape letter: U users.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from model.arrays import Bools


def stable_hash(user_ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the first 64 bits of BLAKE2b of each id's UTF-8 text."""
    digests = b"".join(blake2b(user_id.encode(), digest_size=8).digest() for user_id in user_ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def lowest_hashes_U(user_ids: Iterable[str], at_most: int) -> Bools:
    """Return which of the users have the `at_most` lowest hashes: the same ones every time."""
    hash_U = stable_hash(user_ids)
    is_kept_U = np.zeros(len(hash_U), dtype=bool)
    is_kept_U[np.argsort(hash_U, kind="stable")[:at_most]] = True
    return is_kept_U
