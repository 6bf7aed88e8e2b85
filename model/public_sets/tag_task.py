"""A whole log as the referee wants it: what was known as of each day, and which days teach, choose and judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from model.days import EPOCH, end_of_day
from model.evaluation.known import Known
from model.evaluation.split import Split
from model.history import History
from model.public_sets.beauty import LAST_DAY as LAST_STEP_OF_BEAUTY

HORIZON_DAYS = 1


def daily_split(test: date, taught: int) -> Split:
    """Return windows of one day: that of the test follows `test`, the others lie one day apart before it."""
    days = [test - timedelta(days=back) for back in range(taught + 1, -1, -1)]
    return Split(tuple(days[:-2]), days[-2], days[-1], HORIZON_DAYS)


# History through 1 December UTC, what is touched on the 2nd; the first full day of the log teaches nothing alone.
TAOBAO_SPLIT = daily_split(date(2017, 12, 1), taught=4)
# Windows are steps: the last item of each user, the one before, and so on; everybody has five.
BEAUTY_SPLIT = daily_split(LAST_STEP_OF_BEAUTY - timedelta(days=1), taught=2)
