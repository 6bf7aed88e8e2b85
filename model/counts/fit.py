"""Fits counts-1 as of a day to what was known by its end."""

from datetime import date

import numpy as np
import pyarrow as pa

from model.counts.counts1 import Counts1
from model.counts.learn import learn
from model.counts.lesson import lesson
from model.counts.popularity import popularity
from model.days import DAYS_AHEAD, MICROS_PER_DAY, end_of_day
from model.history import History, history_of
from model.user_hash import stable_hash

MOST_USERS = 20_000  # bounds the cost of a fit


def fit(known: pa.Table, as_of: date) -> Counts1:
    """Return counts-1 as of `as_of`.

    known: newest row of each user as of that day; needs HISTORY_COLUMNS.
    """
    return fit_history(history_of(sample(known, MOST_USERS)), as_of)


def fit_history(history: History, as_of: date) -> Counts1:
    """Learn from the 7 days up to the end of `as_of` and all before them; nothing later exists."""
    end = end_of_day(as_of)
    parameters = learn(lesson(history, end - DAYS_AHEAD * MICROS_PER_DAY, end))
    return Counts1(end, parameters, popularity(history.before(end), end))


def sample(known: pa.Table, at_most: int) -> pa.Table:
    """Return the rows of the `at_most` users of the lowest hash: always the same, in whatever order the rows are."""
    if len(known) <= at_most:
        return known
    user_ids = known["user_id"].to_pylist()
    order = np.lexsort((np.array(user_ids), stable_hash(user_ids)))
    return known.take(pa.array(np.sort(order[:at_most])))
