"""From the table of sequences to the lessons of a plan."""

from collections.abc import Collection, Mapping
from datetime import date

import pyarrow as pa

from model.counts.fit import MOST_USERS, sample
from model.counts.lesson import Lesson, lesson_between
from model.days import days_from_to, end_of_day
from model.history import History, history_of
from model.sequences import SequencesSnapshot, known_by_day
from model.training.plan import WEEK

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
