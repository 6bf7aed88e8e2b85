"""What a Ranker says, kept small: each user's strongest tags, and the place of each answer among all tags.

Shape letters: U users, B users of a batch, T tags, L listed tags (strongest first), H answers.
"""

import time
from dataclasses import dataclass

import numpy as np

from model.arrays import Bools, Floats, Ints
from model.evaluation.contestant import Ranker
from model.evaluation.exam import Exam
from model.metrics import mean_of_the_defined, ndcg_of_users

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
