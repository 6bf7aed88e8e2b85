"""One question and its answer, without a trace of the answer in the question.

Shape letters: U asked users, T tags, H answers (a user's together, by tag), M touches.

What a Ranker says, kept small: each user's strongest tags, and the place of each answer among all tags.

Shape letters: U users, B users of a batch, T tags, L listed tags (strongest first), H answers.
"""

import time
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from model.data.arrays import Bools, Floats, Ints
from model.data.cutoffs import Split
from model.data.days import end_of_day
from model.data.folds import Known, lesson_of
from model.data.history import History
from model.errors import InputError
from model.interfaces import Ranker
from model.metrics import mean_of_the_defined, ndcg_of_users

FEWEST_JUDGED = 50  # users who touched a tag in the week; of fewer no interval means much


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


LISTED = 50  # tags of each user that are kept
TOLD = 10  # of these, what a profile would show
CELLS_AT_ONCE = 4_000_000  # strengths held in memory


@dataclass(frozen=True, eq=False)
class Listing:
    """Equal strengths stand by rising tag code, which is the order of the tags' names."""

    exam: Exam
    tag_UL: Ints
    strength_UL: Floats
    is_answer_UL: Bools
    place_H: Ints  # of each answer of the exam among all tags, 0 is the strongest
    seconds: float  # that the Ranker took

    @property
    def unlisted_answers(self) -> int:
        """Count the known answers that stand in nobody's list."""
        return int((self.place_H >= self.tag_UL.shape[1]).sum())

    def ndcg_U(self) -> Floats:
        """Return nDCG@10; nan for a user without an answer."""
        users, listed = self.tag_UL.shape
        user_P = np.repeat(np.arange(users), listed)
        strength_P = np.tile(-np.arange(listed, dtype=np.float64), users)
        return ndcg_of_users(
            TOLD, user_P, strength_P, self.tag_UL.ravel(), self.is_answer_UL.ravel(), self.exam.answers_U
        )

    def ndcg(self) -> float:
        return mean_of_the_defined(self.ndcg_U())


def ask(ranker: Ranker, exam: Exam, cells_at_once: int = CELLS_AT_ONCE) -> Listing:
    """Ask about every user of the exam, some at a time, so that memory does not grow with their number.

    Raises ValueError if the strengths are not finite numbers of shape (users, tags).
    """
    users, tags = exam.users, exam.tags
    listed = min(LISTED, tags)
    tag_UL = np.empty((users, listed), np.int64)
    strength_UL = np.empty((users, listed))
    place_H = np.empty(len(exam.user_H), np.int64)
    seconds = 0.0
    at_once = max(1, cells_at_once // max(tags, 1))
    for first in range(0, users, at_once):
        batch = slice(first, min(first + at_once, users))
        is_asked_U = np.zeros(users, dtype=bool)
        is_asked_U[batch] = True
        some = exam.asked.of_users(is_asked_U)
        started = time.perf_counter()
        strength_BT = ranker.strength_UT(some)
        seconds += time.perf_counter() - started
        _require_strengths(strength_BT, (some.users, tags))
        tag_UL[batch] = strongest(strength_BT, listed)
        strength_UL[batch] = np.take_along_axis(strength_BT, tag_UL[batch], axis=1)
        answers = slice(*np.searchsorted(exam.user_H, (batch.start, batch.stop)))
        place_H[answers] = _places(strength_BT, exam.user_H[answers] - first, exam.tag_H[answers], at_once)
    return Listing(exam, tag_UL, strength_UL, exam.is_answer(tag_UL), place_H, seconds)


def strongest(strength_BT: Floats, count: int) -> Ints:
    """Return the `count` strongest tags of each user, strongest first, equals by rising code."""
    users, tags = strength_BT.shape
    least_B1 = np.partition(strength_BT, tags - count, axis=1)[:, [tags - count]]
    is_above_BT = strength_BT > least_B1
    is_equal_BT = strength_BT == least_B1
    room_B1 = count - is_above_BT.sum(axis=1, keepdims=True)
    is_listed_BT = is_above_BT | (is_equal_BT & (np.cumsum(is_equal_BT, axis=1) <= room_B1))
    tag_BL = np.nonzero(is_listed_BT)[1].reshape(users, count)
    order_BL = np.argsort(-np.take_along_axis(strength_BT, tag_BL, axis=1), axis=1, kind="stable")
    return np.take_along_axis(tag_BL, order_BL, axis=1)


def _places(strength_BT: Floats, user_H: Ints, tag_H: Ints, at_once: int) -> Ints:
    """Return how many tags stand before each answer: the stronger, and the equal ones of lower code."""
    place_H = np.empty(len(user_H), np.int64)
    code_T = np.arange(strength_BT.shape[1])
    for first in range(0, len(user_H), at_once):
        some = slice(first, first + at_once)
        row_HT, tag_H1 = strength_BT[user_H[some]], tag_H[some, None]
        own_H1 = np.take_along_axis(row_HT, tag_H1, axis=1)
        is_before_HT = (row_HT > own_H1) | ((row_HT == own_H1) & (code_T < tag_H1))
        place_H[some] = is_before_HT.sum(axis=1)
    return place_H


def _require_strengths(strength_BT: Floats, expected: tuple[int, int]) -> None:
    if strength_BT.shape != expected:
        raise ValueError(f"strength_UT has the shape {strength_BT.shape}, expected {expected}: (users, tags)")
    if not np.isfinite(strength_BT).all():
        raise ValueError("strength_UT holds nan or infinite numbers; the weakest tag needs a strength too")
