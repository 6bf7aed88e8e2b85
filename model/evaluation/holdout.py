"""The test set of a cutoff, and each model's strongest tags for it.

The inputs of a test set hold no event and no tag of the window that is predicted.

Shape letters: U test users, B users of a batch, T tags, L listed tags (strongest first), H answers (a user's together,
by tag).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from model.data.arrays import Bools, Floats, Ints
from model.data.cutoffs import Cutoffs
from model.data.days import end_of_day
from model.data.folds import Histories, history_at, window_of
from model.data.history import History
from model.errors import InputError
from model.interfaces import FittedModel
from model.metrics import RankedHits, nan_mean

MIN_TEST_USERS = 50  # users who touched a tag in the window; with fewer the interval is too wide to decide


@dataclass(frozen=True, eq=False)
class TestSet:
    """Inputs and answers at a cutoff. The vocabulary is the tags touched by then; later tags are in no array."""

    cutoff: date
    moment: int  # the end of the cutoff's day
    all_users: History  # known at the cutoff, in the test or not
    past: History  # of the test users, same vocabulary
    user_H: Ints
    tag_H: Ints
    unknown_U: Ints  # answers that no model can give: tags first touched after the cutoff
    has_returned_U: Bools

    @property
    def users(self) -> int:
        return self.past.users

    @property
    def tags(self) -> int:
        return len(self.past.tag_T)

    @property
    def answers_U(self) -> Ints:
        """Count the tags that each user touched in the window, unknown ones included."""
        return np.bincount(self.user_H, minlength=self.users) + self.unknown_U

    @property
    def answering_users(self) -> int:
        """Count the users who touched a tag in the window."""
        return int((self.answers_U > 0).sum())

    def is_answer(self, tag_UL: Ints) -> Bools:
        """Return for each listed tag of each user whether it was touched in the window."""
        key_UL = np.arange(self.users)[:, None] * self.tags + tag_UL
        return np.isin(key_UL, self.user_H * self.tags + self.tag_H)


def build_test_set(histories: Histories, cutoffs: Cutoffs, cutoff: date) -> TestSet:
    """Return the users known at the end of `cutoff` and the tags that they touched in its window."""
    window = window_of(histories, cutoffs, cutoff)
    all_users = history_at(histories, cutoff)
    past = all_users.of_users(np.isin(all_users.user_id_U, window.past.user_id_U))
    code_T = np.searchsorted(past.tag_T, window.past.tag_T)
    is_known_T = np.isin(window.past.tag_T, past.tag_T)
    user_H, window_tag_H = window.touched.user_P, window.touched.tag_P
    is_known_H = is_known_T[window_tag_H]
    return TestSet(
        cutoff=cutoff,
        moment=end_of_day(cutoff),
        all_users=all_users,
        past=past,
        user_H=user_H[is_known_H],
        tag_H=code_T[window_tag_H[is_known_H]],
        unknown_U=np.bincount(user_H[~is_known_H], minlength=past.users),
        has_returned_U=window.has_returned_U,
    )


def users_who_answer(test_sets: Sequence[TestSet]) -> int:
    """Count the users who touched a tag in the window of a test set."""
    return len({user for one in test_sets for user in one.past.user_id_U[one.answers_U > 0]})


def require_test_users(test_set: TestSet) -> None:
    """Raise InputError if too few users touched a tag in the window to test a model on them."""
    if test_set.answering_users < MIN_TEST_USERS:
        raise InputError(
            f"too few test users: found {test_set.answering_users} who were known on {test_set.cutoff} and touched a "
            f"tag in the days after it, of {test_set.users} known; expected {MIN_TEST_USERS} at least; choose a day "
            f"with more events, or check why these days have so few"
        )


LISTED = 50  # tags of each user that are kept
PUBLISHED = 10  # of these, what a profile would show
CELLS_AT_ONCE = 4_000_000  # scores held in memory


@dataclass(frozen=True, eq=False)
class TopK:
    """The strongest tags of each user. Equal scores are ordered by tag code, the order of the tags' names."""

    test_set: TestSet
    tag_UL: Ints
    scores_UL: Floats
    is_answer_UL: Bools
    place_H: Ints  # of each answer among all tags, 0 is the strongest
    seconds: float  # spent on scoring

    @property
    def unlisted_answers(self) -> int:
        """Count the known answers that are not listed."""
        return int((self.place_H >= self.tag_UL.shape[1]).sum())

    @property
    def ranked(self) -> RankedHits:
        """The places of the answers, for the metrics of rankings."""
        return RankedHits(self.test_set.user_H, self.place_H, self.test_set.answers_U)

    def ndcg(self) -> float:
        """Return the mean nDCG@10."""
        return nan_mean(self.ranked.ndcg_U(PUBLISHED))


def predict_top_k(model: FittedModel, test_set: TestSet, cells_at_once: int = CELLS_AT_ONCE) -> TopK:
    """Score all test users in batches, so that memory does not grow with their number.

    Raises ValueError if the scores are not finite numbers of shape (users, tags).
    """
    users, tags = test_set.users, test_set.tags
    listed = min(LISTED, tags)
    tag_UL = np.empty((users, listed), np.int64)
    scores_UL = np.empty((users, listed))
    place_H = np.empty(len(test_set.user_H), np.int64)
    seconds = 0.0
    at_once = max(1, cells_at_once // max(tags, 1))
    for first in range(0, users, at_once):
        batch = slice(first, min(first + at_once, users))
        is_in_batch_U = np.zeros(users, dtype=bool)
        is_in_batch_U[batch] = True
        some = test_set.past.of_users(is_in_batch_U)
        started = time.perf_counter()
        scores_BT = model.scores_UT(some)
        seconds += time.perf_counter() - started
        _require_scores(scores_BT, (some.users, tags))
        tag_UL[batch] = strongest(scores_BT, listed)
        scores_UL[batch] = np.take_along_axis(scores_BT, tag_UL[batch], axis=1)
        answers = slice(*np.searchsorted(test_set.user_H, (batch.start, batch.stop)))
        place_H[answers] = _places(scores_BT, test_set.user_H[answers] - first, test_set.tag_H[answers], at_once)
    return TopK(test_set, tag_UL, scores_UL, test_set.is_answer(tag_UL), place_H, seconds)


def strongest(scores_BT: Floats, count: int) -> Ints:
    """Return the `count` strongest tags of each user, strongest first, equal ones by tag code."""
    users, tags = scores_BT.shape
    least_B1 = np.partition(scores_BT, tags - count, axis=1)[:, [tags - count]]
    is_above_BT = scores_BT > least_B1
    is_equal_BT = scores_BT == least_B1
    room_B1 = count - is_above_BT.sum(axis=1, keepdims=True)
    is_listed_BT = is_above_BT | (is_equal_BT & (np.cumsum(is_equal_BT, axis=1) <= room_B1))
    tag_BL = np.nonzero(is_listed_BT)[1].reshape(users, count)
    order_BL = np.argsort(-np.take_along_axis(scores_BT, tag_BL, axis=1), axis=1, kind="stable")
    return np.take_along_axis(tag_BL, order_BL, axis=1)


def _places(scores_BT: Floats, user_H: Ints, tag_H: Ints, at_once: int) -> Ints:
    """Return how many tags rank before each answer: stronger ones, and equal ones of a lower code."""
    place_H = np.empty(len(user_H), np.int64)
    code_T = np.arange(scores_BT.shape[1])
    for first in range(0, len(user_H), at_once):
        some = slice(first, first + at_once)
        row_HT, tag_H1 = scores_BT[user_H[some]], tag_H[some, None]
        own_H1 = np.take_along_axis(row_HT, tag_H1, axis=1)
        is_before_HT = (row_HT > own_H1) | ((row_HT == own_H1) & (code_T < tag_H1))
        place_H[some] = is_before_HT.sum(axis=1)
    return place_H


def _require_scores(scores_BT: Floats, expected: tuple[int, int]) -> None:
    if scores_BT.shape != expected:
        raise ValueError(f"scores_UT has the shape {scores_BT.shape}, expected {expected}: (users, tags)")
    if not np.isfinite(scores_BT).all():
        raise ValueError("scores_UT holds nan or infinite numbers; every tag needs a finite score")
