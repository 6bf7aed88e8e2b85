"""The cutoffs of an evaluation or a training: one global split in time.

    ... | train | train | validation | test | test |
                        V            T      T + h

A cutoff is the day before a window of h days, h being the horizon. A model knows what happened by the end of the cutoff
and predicts what users touch in the window. Where the history is short, train cutoffs lie a part of a horizon apart, or
a day; all train windows end by the validation cutoff. A training on few users has several test windows: the model
trained at the first test cutoff predicts them all, as it would score the nights after its training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from model.data.days import HORIZON_DAYS, MAX_HORIZON_DAYS, days_in_words
from model.errors import InputError, UsageError

LOOK_BACK_DAYS = 7  # by the end of the oldest cutoff, else every user would seem to be new; fewer in a short history
MAX_TRAIN_CUTOFFS = 4  # before the validation cutoff; older windows describe another time
MAX_TEST_WINDOWS = 3


@dataclass(frozen=True)
class Cutoffs:
    """Each window begins the day after its cutoff and lasts `horizon_days`."""

    train: tuple[date, ...]  # oldest first
    validation: date
    test: date  # the first test cutoff: what a model has seen that is tested
    horizon_days: int = HORIZON_DAYS
    test_windows: int = 1  # a horizon apart

    @property
    def tests(self) -> tuple[date, ...]:
        """Return the test cutoffs, oldest first."""
        return tuple(self.test + timedelta(days=self.horizon_days * number) for number in range(self.test_windows))

    @property
    def all(self) -> tuple[date, ...]:
        return (*self.train, self.validation, *self.tests)

    @property
    def last(self) -> date:
        """Return the last day of the last test window."""
        return self.end_of(self.tests[-1])

    @property
    def tested_days(self) -> str:
        """Return the test windows in words, such as `the 7 days through 2026-02-01`."""
        days = f"the {days_in_words(self.horizon_days * self.test_windows).removeprefix('1 ')} through {self.last}"
        return days if self.test_windows == 1 else f"{days}, in {self.test_windows} windows"

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
            "test_windows": self.test_windows,
            "horizon_days": self.horizon_days,
        }


def min_days(horizon_days: int) -> int:
    """Return how many days a log needs: one to look back on, and one window each to train, validate and test."""
    return 1 + 3 * horizon_days


def longest_horizon(days: int) -> int:
    """Return the longest horizon for which a log of so many days is long enough; 0 for none."""
    return max(0, min((days - 1) // 3, MAX_HORIZON_DAYS))


def require_horizon(horizon_days: int) -> None:
    """Raise UsageError if the horizon is not 1 to 28 days."""
    if not 1 <= horizon_days <= MAX_HORIZON_DAYS:
        raise UsageError(f"--horizon-days {horizon_days}: expected 1 to {MAX_HORIZON_DAYS}, usually 7 or 1")


def evaluation_cutoffs(as_of: date, horizon_days: int, oldest: date | None, newest: date | None) -> Cutoffs:
    """Return the cutoffs of an evaluation whose test cutoff is `as_of`.

    oldest, newest: first and last day of the log, None where there is none.
    Raises UsageError if the horizon is not 1 to 28 days, InputError if the test window is not over or the log is too
    young.
    """
    require_horizon(horizon_days)
    if oldest is None or newest is None:
        raise InputError(
            f"nothing to evaluate as of {as_of}: interest.sequences has no rows up to then; run some days first"
        )
    horizon = timedelta(days=horizon_days)
    expected = min_days(horizon_days) - horizon_days
    earliest = oldest + timedelta(days=expected - 1)
    if as_of + horizon > newest:
        raise InputError(
            f"the test window is not over: --as-of {as_of} needs the days through {as_of + horizon}, and the last day "
            f"known is {newest}; evaluate as of {newest - horizon} at the latest, or run more days"
        )
    if as_of < earliest:
        days = max((as_of - oldest).days + 1, 0)
        raise InputError(
            f"too little history to evaluate as of {as_of}: found days in interest.sequences: {days}, from {oldest}; "
            f"expected {expected} at least, 1 to look back on and {horizon_days} each to train and to validate; "
            f"run earlier days, or evaluate as of {earliest} at the earliest{_or_horizon((days - 1) // 2)}"
        )
    return _cutoffs(as_of, horizon_days, oldest)


def training_cutoffs(
    through: date, oldest: date | None, horizon_days: int = HORIZON_DAYS, test_windows: int = 1
) -> Cutoffs:
    """Return the cutoffs of a training: its last test window is the horizon that ends with `through`.

    oldest: first day of the log, None where there is none.
    test_windows: at most; in a short history each of them leaves one more window to train on.
    Raises UsageError if the horizon is not 1 to 28 days, InputError if the log is too young.
    """
    require_horizon(horizon_days)
    days = 0 if oldest is None else (through - oldest).days + 1
    expected = min_days(horizon_days)
    if oldest is None or days < expected:
        found = "none" if oldest is None or days <= 0 else f"{days}, from {oldest}"
        earliest = f" (here {oldest + timedelta(days=expected - 1)} at the earliest)" if oldest else ""
        raise InputError(
            f"too little history to train through {through} for a horizon of {days_in_words(horizon_days)}: found "
            f"days in interest.sequences: {found}; expected {expected} at least, 1 to look back on and {horizon_days} "
            f"each to train, to validate and to test; run more days, or train through a later one{earliest}"
            f"{_or_horizon(longest_horizon(days))}"
        )
    tests = min(test_windows, 1 + (days - expected) // (2 * horizon_days))
    return _cutoffs(through - timedelta(days=horizon_days * tests), horizon_days, oldest, tests)


def _or_horizon(longest: int) -> str:
    return f"; or set horizon_days to {longest} or less, for which these days suffice" if longest > 0 else ""


def _cutoffs(test: date, horizon_days: int, oldest: date, test_windows: int = 1) -> Cutoffs:
    """Return the cutoffs whose first test cutoff is `test`.

    A short history has room for fewer than MAX_TRAIN_CUTOFFS cutoffs that lie a horizon apart. It gets as many that lie
    a part of a horizon apart, though at least a day.
    """
    horizon = timedelta(days=horizon_days)
    validation = test - horizon
    newest = validation - horizon
    known_days = (newest - oldest).days + 1
    spare_days = known_days - min(LOOK_BACK_DAYS, horizon_days, known_days)
    step_days = max(1, min(horizon_days, spare_days // (MAX_TRAIN_CUTOFFS - 1)))
    number = min(MAX_TRAIN_CUTOFFS, 1 + spare_days // step_days)
    train = tuple(newest - timedelta(days=step_days * back) for back in reversed(range(number)))
    return Cutoffs(train, validation, test, horizon_days, test_windows)
