"""What was known as of each day that an evaluation needs, from the table of sequences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from model.counts.lesson import Lesson, lesson_between
from model.days import end_of_day
from model.evaluation.split import Split
from model.history import History
from model.sequences import SequencesSnapshot
from model.training.weeks import histories

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
