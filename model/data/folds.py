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
from model.data.labels import LabeledWindow, label_window_between
from model.data.sequences import SequencesSnapshot, known_by_day
from model.data.users import MAX_USERS, sample_users

Histories = Mapping[date, History]  # by day: nothing that came to be known after it


def read_histories(sequences: SequencesSnapshot, split: Split) -> Histories:
    """Return what was known as of each cut and of the last day of each window, of 20,000 users at most."""
    return histories(sequences, {*split.cutoffs, *(split.end_of(cutoff) for cutoff in split.cutoffs)})


def window_of(known: Histories, split: Split, cutoff: date) -> LabeledWindow:
    """Ask at the end of `cutoff`, answer with what was known at the end of its window."""
    end = split.end_of(cutoff)
    return label_window_between(known[cutoff], known[end], end_of_day(cutoff), end_of_day(end))


@dataclass(frozen=True, eq=False)
class TrainingWindows:
    """What contestants learn from. Lessons of the true `known` are laid out once, of another one each time anew."""

    known: Histories
    split: Split
    laid: dict[date, LabeledWindow] = field(default_factory=dict)

    def by(self, known: Histories, cutoff: date) -> list[LabeledWindow]:
        """Return the lessons whose windows have ended by `cutoff`, oldest first."""
        return [self._of(known, one) for one in self.split.ended_by(cutoff)]

    def _of(self, known: Histories, cutoff: date) -> LabeledWindow:
        if known is not self.known:
            return window_of(known, self.split, cutoff)
        if cutoff not in self.laid:
            self.laid[cutoff] = window_of(known, self.split, cutoff)
        return self.laid[cutoff]


def histories(sequences: SequencesSnapshot, wanted: Collection[date]) -> Histories:
    """Return what was known as of each wanted day, of 20,000 users at most."""
    days = days_from_to(min(wanted), max(wanted))
    return {day: _history(known) for day, known in known_by_day(sequences.read, days) if day in wanted}


def window_of_week(known: Histories, cutoff: date) -> LabeledWindow:
    """Ask at the end of `cutoff`, answer with what was known a week later."""
    return label_window_between(known[cutoff], known[cutoff + WEEK], end_of_day(cutoff), end_of_day(cutoff + WEEK))


def _history(known: pa.Table) -> History:
    return history_of(sample_users(known, MAX_USERS))
