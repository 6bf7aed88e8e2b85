"""Which days teach, which choose, which judge: one global split in time.

    ... | taught | taught | validation | test |
                          V            D      D + h

A cut is the day before a window of h days; what is touched in the window is what is asked at the cut.

Which weeks teach, which one chooses, which one judges.

    ... | taught | taught | validation | judging week |
                                                     end of `through`

A cut is the day before a week; the week's touches are what is asked at the cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from model.data.days import HORIZON_DAYS
from model.errors import InputError, UsageError

LOOK_BACK_DAYS = 7  # before the oldest cut, else everybody seems to be new
MAX_TRAIN_CUTOFFS = 4  # cuts before the validation cut; older ones tell of another time
MAX_HORIZON_DAYS = 28


@dataclass(frozen=True)
class Split:
    """The cuts of one evaluation. Each window begins the day after its cut."""

    taught: tuple[date, ...]  # oldest first
    validation: date
    test: date
    horizon_days: int

    @property
    def cutoffs(self) -> tuple[date, ...]:
        return (*self.taught, self.validation, self.test)

    @property
    def last(self) -> date:
        """Return the last day of the test window."""
        return self.end_of(self.test)

    def end_of(self, cutoff: date) -> date:
        """Return the last day of the window of `cutoff`."""
        return cutoff + timedelta(days=self.horizon_days)

    def ended_by(self, cutoff: date) -> tuple[date, ...]:
        """Return the cuts whose windows have ended by `cutoff`."""
        return tuple(one for one in self.cutoffs if self.end_of(one) <= cutoff)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "taught": [str(cutoff) for cutoff in self.taught],
            "validation": str(self.validation),
            "test": str(self.test),
            "test_window": [str(self.test + timedelta(days=1)), str(self.last)],
            "horizon_days": self.horizon_days,
        }


def min_days(horizon_days: int) -> int:
    """Return how many days a log needs: a week to look back on, a window to teach, one to choose, one to judge."""
    return LOOK_BACK_DAYS + 3 * horizon_days


def split(as_of: date, horizon_days: int, oldest: date | None, newest: date | None) -> Split:
    """Lay out the windows around the test cut `as_of`.

    oldest, newest: first and last day known, None where there is none.
    Raises UsageError if the horizon is no number of days from 1 to 28, InputError if the test window is not over or
    the log is too young.
    """
    if not 1 <= horizon_days <= MAX_HORIZON_DAYS:
        raise UsageError(f"--horizon-days {horizon_days}: expected 1 to {MAX_HORIZON_DAYS}, usually 7 or 1")
    if oldest is None or newest is None:
        raise InputError(
            f"nothing to evaluate as of {as_of}: interest.sequences has no rows up to then; run some days first"
        )
    horizon = timedelta(days=horizon_days)
    earliest = oldest + timedelta(days=min_days(horizon_days) - 1) - horizon
    if as_of + horizon > newest:
        raise InputError(
            f"the days that judge are not over: --as-of {as_of} asks what came through {as_of + horizon}, and the last "
            f"day known is {newest}; evaluate as of {newest - horizon} at the latest, or run more days"
        )
    if as_of < earliest:
        raise InputError(
            f"too little history to evaluate as of {as_of}: found days in interest.sequences: "
            f"{max((as_of - oldest).days + 1, 0)}, from {oldest}; expected {min_days(horizon_days) - horizon_days} "
            f"at least, {LOOK_BACK_DAYS} to look back on and {horizon_days} each to learn from and to choose by; "
            f"run earlier days, or evaluate as of {earliest} at the earliest"
        )
    validation = as_of - horizon
    first_cutoff = oldest + timedelta(days=LOOK_BACK_DAYS - 1)
    cutoffs = (validation - number * horizon for number in range(MAX_TRAIN_CUTOFFS, 0, -1))
    return Split(tuple(cutoff for cutoff in cutoffs if cutoff >= first_cutoff), validation, as_of, horizon_days)


WEEK = timedelta(days=HORIZON_DAYS)
MIN_DAYS = 4 * HORIZON_DAYS  # a week to look back on, one to teach, one to choose by, one to judge by


@dataclass(frozen=True)
class Plan:
    """The cuts of one training."""

    through: date
    taught: tuple[date, ...]  # oldest first
    validation: date
    judged: date

    @property
    def cutoffs(self) -> tuple[date, ...]:
        return (*self.taught, self.validation, self.judged)


def plan(through: date, oldest: date | None) -> Plan:
    """Lay out the weeks before the end of `through`.

    oldest: first day of the log, None where there is none.
    Raises InputError if the log is too young.
    """
    days = 0 if oldest is None else (through - oldest).days + 1
    if oldest is None or days < MIN_DAYS:
        found = "none" if oldest is None or days <= 0 else f"{days}, from {oldest}"
        earliest = f" (here {oldest + timedelta(days=MIN_DAYS - 1)} at the earliest)" if oldest else ""
        raise InputError(
            f"too little history to train through {through}: found days in interest.sequences: {found}; expected "
            f"{MIN_DAYS} at least, a week each to look back on, to learn from, to choose by and to judge by; "
            f"run more days, or train through a later one{earliest}"
        )
    judged = through - WEEK
    validation = judged - WEEK
    first_cutoff = oldest + WEEK - timedelta(days=1)
    cutoffs = (validation - number * WEEK for number in range(MAX_TRAIN_CUTOFFS, 0, -1))
    return Plan(through, tuple(cutoff for cutoff in cutoffs if cutoff >= first_cutoff), validation, judged)
