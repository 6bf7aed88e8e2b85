"""The cutoffs of an evaluation or a training: one global split in time.

    ... | train | train | validation | test |
                        V            T      T + h

A cutoff is the day before a window of h days. A model knows what happened by the end of the cutoff and predicts what
users touch in the window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from model.data.days import HORIZON_DAYS
from model.errors import InputError, UsageError

LOOK_BACK_DAYS = 7  # before the oldest cutoff; without them every user would seem to be new
MAX_TRAIN_CUTOFFS = 4  # before the validation cutoff; older windows describe another time
MAX_HORIZON_DAYS = 28


@dataclass(frozen=True)
class Cutoffs:
    """Each window begins the day after its cutoff and lasts `horizon_days`."""

    train: tuple[date, ...]  # oldest first
    validation: date
    test: date
    horizon_days: int = HORIZON_DAYS

    @property
    def all(self) -> tuple[date, ...]:
        return (*self.train, self.validation, self.test)

    @property
    def last(self) -> date:
        """Return the last day of the test window."""
        return self.end_of(self.test)

    def end_of(self, cutoff: date) -> date:
        """Return the last day of the window of `cutoff`."""
        return cutoff + timedelta(days=self.horizon_days)

    def ended_by(self, day: date) -> tuple[date, ...]:
        """Return the cutoffs whose windows have ended by `day`."""
        return tuple(one for one in self.all if self.end_of(one) <= day)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "train": [str(cutoff) for cutoff in self.train],
            "validation": str(self.validation),
            "test": str(self.test),
            "test_window": [str(self.test + timedelta(days=1)), str(self.last)],
            "horizon_days": self.horizon_days,
        }


def min_days(horizon_days: int) -> int:
    """Return how many days a log needs: those to look back on and one window each to train, validate and test."""
    return LOOK_BACK_DAYS + 3 * horizon_days


def evaluation_cutoffs(as_of: date, horizon_days: int, oldest: date | None, newest: date | None) -> Cutoffs:
    """Return the cutoffs of an evaluation whose test cutoff is `as_of`.

    oldest, newest: first and last day known, None where there is none.
    Raises UsageError if the horizon is not 1 to 28 days, InputError if the test window is not over or the log is too
    young.
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
            f"the test window is not over: --as-of {as_of} needs the days through {as_of + horizon}, and the last day "
            f"known is {newest}; evaluate as of {newest - horizon} at the latest, or run more days"
        )
    if as_of < earliest:
        raise InputError(
            f"too little history to evaluate as of {as_of}: found days in interest.sequences: "
            f"{max((as_of - oldest).days + 1, 0)}, from {oldest}; expected {min_days(horizon_days) - horizon_days} "
            f"at least, {LOOK_BACK_DAYS} to look back on and {horizon_days} each to train and to validate; "
            f"run earlier days, or evaluate as of {earliest} at the earliest"
        )
    return _cutoffs(as_of, horizon_days, oldest)


def training_cutoffs(through: date, oldest: date | None) -> Cutoffs:
    """Return the cutoffs of a training: its test window is the week that ends with `through`.

    oldest: first day known, None where there is none. Raises InputError if the log is too young.
    """
    days = 0 if oldest is None else (through - oldest).days + 1
    expected = min_days(HORIZON_DAYS)
    if oldest is None or days < expected:
        found = "none" if oldest is None or days <= 0 else f"{days}, from {oldest}"
        earliest = f" (here {oldest + timedelta(days=expected - 1)} at the earliest)" if oldest else ""
        raise InputError(
            f"too little history to train through {through}: found days in interest.sequences: {found}; expected "
            f"{expected} at least, a week each to look back on, to train, to validate and to test; "
            f"run more days, or train through a later one{earliest}"
        )
    return _cutoffs(through - timedelta(days=HORIZON_DAYS), HORIZON_DAYS, oldest)


def _cutoffs(test: date, horizon_days: int, oldest: date) -> Cutoffs:
    horizon = timedelta(days=horizon_days)
    validation = test - horizon
    first_cutoff = oldest + timedelta(days=LOOK_BACK_DAYS - 1)
    train = (validation - number * horizon for number in range(MAX_TRAIN_CUTOFFS, 0, -1))
    return Cutoffs(tuple(cutoff for cutoff in train if cutoff >= first_cutoff), validation, test, horizon_days)
