"""One question and its answer, without a trace of the answer in the question.

Shape letters: U asked users, T tags, H answers (a user's together, by tag), M touches.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from model.arrays import Bools, Ints
from model.days import end_of_day
from model.errors import InputError
from model.evaluation.known import Known, lesson_of
from model.evaluation.split import Split
from model.history import History
from model.training.judging import FEWEST_JUDGED


@dataclass(frozen=True, eq=False)
class Exam:
    """What is asked at a cut. The vocabulary is what anybody had touched by then; later tags are in no array."""

    cut: date
    moment: int  # at which the cut's day is over
    everybody: History  # known at the cut, asked or not
    asked: History  # who is judged, the same vocabulary
    user_H: Ints
    tag_H: Ints
    unknown_U: Ints  # answers that no contestant can give: tags that nobody had touched before the cut
    has_returned_U: Bools

    @property
    def users(self) -> int:
        return self.asked.users

    @property
    def tags(self) -> int:
        return len(self.asked.tag_T)

    @property
    def answers_U(self) -> Ints:
        """Count the tags that each user touched in the window, unknown ones included."""
        return np.bincount(self.user_H, minlength=self.users) + self.unknown_U

    def is_answer(self, tag_UL: Ints) -> Bools:
        """Return for each listed tag of each user whether it was touched in the window."""
        key_UL = np.arange(self.users)[:, None] * self.tags + tag_UL
        return np.isin(key_UL, self.user_H * self.tags + self.tag_H)


def exam_at(known: Known, split: Split, cut: date) -> Exam:
    """Lay out the question at the end of `cut` and what was touched in its window."""
    lesson = lesson_of(known, split, cut)
    everybody = known_at(known, cut)
    asked = everybody.of_users(np.isin(everybody.user_id_U, lesson.past.user_id_U))
    code_T = np.searchsorted(asked.tag_T, lesson.past.tag_T)
    is_known_T = np.isin(lesson.past.tag_T, asked.tag_T)
    user_H, lesson_tag_H = lesson.touched.user_P, lesson.touched.tag_P
    is_known_H = is_known_T[lesson_tag_H]
    return Exam(
        cut=cut,
        moment=end_of_day(cut),
        everybody=everybody,
        asked=asked,
        user_H=user_H[is_known_H],
        tag_H=code_T[lesson_tag_H[is_known_H]],
        unknown_U=np.bincount(user_H[~is_known_H], minlength=asked.users),
        has_returned_U=lesson.has_returned_U,
    )


def known_at(known: Known, cut: date) -> History:
    """Return everybody known at the end of `cut`: no later event, no tag that was never touched by then."""
    past = known[cut].before(end_of_day(cut))
    code, tag_M = np.unique(past.tag_M, return_inverse=True)
    return replace(past, tag_T=past.tag_T[code], tag_M=tag_M)


def require_answers(exam: Exam) -> None:
    """Raise InputError if too few users touched a tag in the window to judge by them."""
    judges = int((exam.answers_U > 0).sum())
    if judges < FEWEST_JUDGED:
        raise InputError(
            f"too few users to judge by: found {judges} who were known on {exam.cut} and touched a tag in the days "
            f"after it, of {exam.users} known; expected {FEWEST_JUDGED} at least; evaluate as of a busier day, or "
            f"check why these days have so few events"
        )
