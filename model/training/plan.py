"""Which weeks teach, which one chooses, which one judges.

    ... | taught | taught | validation | judging week |
                                                     end of `through`

A cut is the day before a week; the week's touches are what is asked at the cut.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from model.days import DAYS_AHEAD
from model.errors import InputError

WEEK = timedelta(days=DAYS_AHEAD)
MOST_TAUGHT = 4  # cuts before the validation cut; older ones tell of another time
FEWEST_DAYS = 4 * DAYS_AHEAD  # a week to look back on, one to teach, one to choose by, one to judge by


@dataclass(frozen=True)
class Plan:
    """The cuts of one training."""

    through: date
    taught: tuple[date, ...]  # oldest first
    validation: date
    judged: date

    @property
    def cuts(self) -> tuple[date, ...]:
        return (*self.taught, self.validation, self.judged)


def plan(through: date, oldest: date | None) -> Plan:
    """Lay out the weeks before the end of `through`.

    oldest: first day of the log, None where there is none.
    Raises InputError if the log is too young.
    """
    days = 0 if oldest is None else (through - oldest).days + 1
    if oldest is None or days < FEWEST_DAYS:
        found = "none" if oldest is None or days <= 0 else f"{days}, from {oldest}"
        earliest = f" (here {oldest + timedelta(days=FEWEST_DAYS - 1)} at the earliest)" if oldest else ""
        raise InputError(
            f"too little history to train through {through}: found days in interest.sequences: {found}; expected "
            f"{FEWEST_DAYS} at least, a week each to look back on, to learn from, to choose by and to judge by; "
            f"run more days, or train through a later one{earliest}"
        )
    judged = through - WEEK
    validation = judged - WEEK
    first_cut = oldest + WEEK - timedelta(days=1)
    cuts = (validation - number * WEEK for number in range(MOST_TAUGHT, 0, -1))
    return Plan(through, tuple(cut for cut in cuts if cut >= first_cut), validation, judged)
