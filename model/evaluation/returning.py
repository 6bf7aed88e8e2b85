"""Who comes back: judged by the area under the ROC curve. Shape letter: U users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sklearn.metrics import roc_auc_score

from model.arrays import Floats
from model.counts.features import count, return_features_UF
from model.counts.learn import learn
from model.counts.lesson import Lesson
from model.counts.pairs import own_tags
from model.counts.parameters import UNTUNED, VERSION, Counts1Parameters
from model.evaluation.exam import Exam
from model.history import History


class Returning(Protocol):
    """Foretells whether a user has any event in the window after a cut."""

    def fit(self, lessons: Sequence[Lesson]) -> object:
        """Learn from windows that have ended, oldest first."""

    def return_probability_U(self, past: History, cut: int) -> Floats:
        """Return the probability of each user, or anything that rises with it.

        past: nothing at the moment `cut` or after it.
        """


@dataclass(eq=False)
class CountsReturning:
    """The return probability of counts-1, learnt as it is every night: from the newest window."""

    name: str = VERSION
    fitted: Counts1Parameters = UNTUNED

    def fit(self, lessons: Sequence[Lesson]) -> "CountsReturning":
        self.fitted = learn(lessons[-1])
        return self

    def return_probability_U(self, past: History, cut: int) -> Floats:
        own = own_tags(past)
        counts = count(past, own, own.pairs, cut, self.fitted.half_life_days)
        return self.fitted.returning.probability_N(return_features_UF(past, counts))


def return_auc(returning: Returning, lessons: Sequence[Lesson], exam: Exam) -> float:
    """Fit to `lessons` and return the AUC on the exam, 0 to 1; nan where everybody came back, or nobody."""
    returning.fit(lessons)
    has_returned_U = exam.has_returned_U
    if has_returned_U.all() or not has_returned_U.any():
        return float("nan")
    return float(roc_auc_score(has_returned_U, returning.return_probability_U(exam.asked, exam.moment)))
