"""The plan of a log, and the summary of the log that was made."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SECOND_MS = 1_000
HOUR_MS = 3_600 * SECOND_MS
DAY_MS = 24 * HOUR_MS

MIN_USERS = 20
MIN_DAYS = 7


@dataclass(frozen=True)
class DemoPlan:
    """What a log is made from. One plan gives one log, byte for byte.

    Raises ValueError if there are too few users or days for interests to recur and change.
    """

    seed: int = 20260105
    users: int = 3000
    days: int = 30  # four weeks, of which the first is looked back on by every train cutoff, and two nights
    first_day: date = date(2026, 1, 5)

    def __post_init__(self) -> None:
        if self.users < MIN_USERS:
            raise ValueError(f"users = {self.users}: expected at least {MIN_USERS}; bots would dominate a smaller log")
        if self.days < MIN_DAYS:
            raise ValueError(f"days = {self.days}: expected at least {MIN_DAYS}; interests have a weekly rhythm")

    @property
    def last_day(self) -> date:
        return self.day(self.days - 1)

    @property
    def start_ms(self) -> int:
        """Milliseconds from 1970 to the start of the first day, UTC."""
        return (
            int(datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC).timestamp())
            * SECOND_MS
        )

    @property
    def end_ms(self) -> int:
        """Milliseconds from 1970 to the end of the last day, UTC; what is received later is not in the log."""
        return self.start_ms + self.days * DAY_MS

    def day(self, number: int) -> date:
        """Return the day that is `number` days after the first."""
        return self.first_day + timedelta(days=number)

    def weekday(self, number: int) -> int:
        """Return 0 for a Monday to 6 for a Sunday."""
        return self.day(number).weekday()

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the random generator of one purpose. A change to one purpose leaves the others unchanged."""
        return np.random.default_rng([self.seed, *purpose.encode()])


@dataclass(frozen=True)
class DemoSummary:
    """Counts of what the log contains. `lines` = `events` + `duplicates` + `rejects`."""

    files: int
    lines: int
    bytes: int  # of the event files on disk
    events: int  # distinct ids with a valid line
    exact_copies: int  # the same line again
    resent_copies: int  # the same event, sent and received again up to five days later
    richer_copies: int  # the same event again, now with its dwell
    broken_lines: int
    ownerless_lines: int  # neither user nor device
    bad_times: int
    unknown_types: int
    late_events: int  # of `events`: received more than an hour after they happened
    skewed_events: int  # of `events`: from a device with a wrong clock
    no_consent_events: int  # of `events`
    declared_bot_events: int  # of `events`
    undeclared_bot_events: int  # of `events`
    people: int
    bots: int
    items: int
    catalogue_lines: int

    @property
    def duplicates(self) -> int:
        return self.exact_copies + self.resent_copies + self.richer_copies

    @property
    def rejects(self) -> int:
        return self.broken_lines + self.ownerless_lines + self.bad_times + self.unknown_types
