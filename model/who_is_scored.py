"""Who gets a profile as of a day (DESIGN.md 5.5.7)."""

from datetime import date

import numpy as np
import pyarrow as pa

from model.arrays import Bools
from model.days import DAYS_SEEN, MICROS_PER_DAY, day_number, end_of_day
from model.user_hash import stable_hash

SHARE_OF_OTHERS = 7  # one in seven of those without news, another seventh each day


def who_is_scored(known: pa.Table, as_of: date, everybody_seen: bool) -> Bools:
    """Return whether each user is scored: those with news, and a seventh of the others (or all) seen lately.

    Seen lately means an event within the 90 days before the end of `as_of`.

    known: newest row of each user as of `as_of`; needs `user_id`, `as_of`, `last_event_at`.
    """
    has_news_U = np.asarray(known["as_of"].cast(pa.int32())) == day_number(as_of)
    last_event_at_U = np.asarray(known["last_event_at"].cast(pa.int64()))
    is_seen_U = last_event_at_U >= end_of_day(as_of) - DAYS_SEEN * MICROS_PER_DAY
    if everybody_seen:
        return np.asarray(has_news_U | is_seen_U)
    hash_U = stable_hash(known["user_id"].to_pylist())
    is_their_turn_U = (hash_U % SHARE_OF_OTHERS + day_number(as_of) % SHARE_OF_OTHERS) % SHARE_OF_OTHERS == 0
    return np.asarray(has_news_U | (is_seen_U & is_their_turn_U))
