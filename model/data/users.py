"""A stable hash of users, the same on every machine; the sample of users for a fit; the users to score on a day.

Shape letter: U users.
"""

from collections.abc import Iterable
from datetime import date
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.data.arrays import Bools
from model.data.days import DAYS_SEEN, HORIZON_DAYS, MICROS_PER_DAY, day_number, end_of_day


def stable_hash(user_ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the first 64 bits of BLAKE2b of each id's UTF-8 text."""
    digests = b"".join(blake2b(user_id.encode(), digest_size=8).digest() for user_id in user_ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def lowest_hash_users_U(user_ids: Iterable[str], at_most: int) -> Bools:
    """Return which of the users have the `at_most` lowest hashes: the same ones every time."""
    hash_U = stable_hash(user_ids)
    is_kept_U = np.zeros(len(hash_U), dtype=bool)
    is_kept_U[np.argsort(hash_U, kind="stable")[:at_most]] = True
    return is_kept_U


MAX_USERS = 20_000  # bounds the cost of a fit


def sample_users(known: pa.Table, at_most: int) -> pa.Table:
    """Return the rows of the `at_most` users of the lowest hash: always the same, in whatever order the rows are."""
    if len(known) <= at_most:
        return known
    user_ids = known["user_id"].to_pylist()
    order = np.lexsort((np.array(user_ids), stable_hash(user_ids)))
    return known.take(pa.array(np.sort(order[:at_most])))


MAX_DAYS_BETWEEN_SCORES = 7  # one in seven of those without news, another seventh each day


def scoring_population(known: pa.Table, as_of: date, all_seen: bool, horizon_days: int = HORIZON_DAYS) -> Bools:
    """Return whether each user is scored: those with new events, and a seventh of the other recent users (or all).

    With a horizon below seven days it is one in as many, so that no profile is older than what it predicts. A recent
    user has an event within the 90 days before the end of `as_of`.

    known: newest row of each user as of `as_of`; needs `user_id`, `as_of`, `last_event_at`.
    """
    has_news_U = np.asarray(known["as_of"].cast(pa.int32())) == day_number(as_of)
    last_event_at_U = np.asarray(known["last_event_at"].cast(pa.int64()))
    is_seen_U = last_event_at_U >= end_of_day(as_of) - DAYS_SEEN * MICROS_PER_DAY
    if all_seen:
        return np.asarray(has_news_U | is_seen_U)
    hash_U = stable_hash(known["user_id"].to_pylist())
    days = min(MAX_DAYS_BETWEEN_SCORES, horizon_days)
    is_their_turn_U = (hash_U % days + day_number(as_of) % days) % days == 0
    return np.asarray(has_news_U | (is_seen_U & is_their_turn_U))
