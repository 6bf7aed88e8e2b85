"""What was known as of each day that an evaluation needs, from the table of sequences.

From the table of sequences to the lessons of a plan.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from model.data.cutoffs import WEEK, Split
from model.data.days import days_from_to, end_of_day
from model.data.history import History, history_of
from model.data.labels import Lesson, lesson_between
from model.data.sequences import SequencesSnapshot, known_by_day
from model.data.users import MOST_USERS, sample

Known = Mapping[date, History]  # by day: nothing that came to be known after it


def read_known(sequences: SequencesSnapshot, split: Split) -> Known:
    """Return what was known as of each cut and of the last day of each window, of 20,000 users at most."""
    return histories(sequences, {*split.cuts, *(split.end_of(cut) for cut in split.cuts)})


def lesson_of(known: Known, split: Split, cut: date) -> Lesson:
    """Ask at the end of `cut`, answer with what was known at the end of its window."""
    end = split.end_of(cut)
    return lesson_between(known[cut], known[end], end_of_day(cut), end_of_day(end))


@dataclass(frozen=True, eq=False)
class Lessons:
    """What contestants learn from. Lessons of the true `known` are laid out once, of another one each time anew."""

    known: Known
    split: Split
    laid: dict[date, Lesson] = field(default_factory=dict)

    def by(self, known: Known, cut: date) -> list[Lesson]:
        """Return the lessons whose windows have ended by `cut`, oldest first."""
        return [self._of(known, one) for one in self.split.taught_by(cut)]

    def _of(self, known: Known, cut: date) -> Lesson:
        if known is not self.known:
            return lesson_of(known, self.split, cut)
        if cut not in self.laid:
            self.laid[cut] = lesson_of(known, self.split, cut)
        return self.laid[cut]


Histories = Mapping[date, History]


def histories(sequences: SequencesSnapshot, wanted: Collection[date]) -> Histories:
    """Return what was known as of each wanted day, of 20,000 users at most."""
    days = days_from_to(min(wanted), max(wanted))
    return {day: _history(known) for day, known in known_by_day(sequences.read, days) if day in wanted}


def lesson_of_week(known: Histories, cut: date) -> Lesson:
    """Ask at the end of `cut`, answer with what was known a week later."""
    return lesson_between(known[cut], known[cut + WEEK], end_of_day(cut), end_of_day(cut + WEEK))


def _history(known: pa.Table) -> History:
    return history_of(sample(known, MOST_USERS))
