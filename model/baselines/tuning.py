"""Chooses the settings of a baseline by the validation window.

Shape letters: U users, B users of a batch, D places from the top, T tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from model.arrays import Floats
from model.baselines.returning import ReturnBoosting
from model.counts.lesson import Lesson
from model.counts.pairs import Pairs
from model.evaluation.contestant import Contestant
from model.metrics import mean_of_the_defined

USERS_AT_ONCE = 2048
DEPTH = 10


@dataclass(frozen=True)
class Tried:
    """What one setting reached."""

    contestant: Contestant
    ndcg_at_10: float  # nan where nobody touched a tag in the window


@dataclass(frozen=True)
class Tuned:
    """A family after its tuning."""

    chosen: Contestant
    tried: tuple[Tried, ...]  # in the order of the grid


def tune(grid: Sequence[Contestant], taught: Sequence[Lesson], validation: Lesson) -> Tuned:
    """Return the setting of the highest nDCG@10 on `validation`, the first of equals.

    taught: oldest first, windows that ended by the cut of `validation`.
    Raises ValueError if the grid is empty.
    """
    if not grid:
        raise ValueError("empty grid: found no setting to try, expected one at least")
    tried = tuple(Tried(contestant, _ndcg_at_10(contestant, taught, validation)) for contestant in grid)
    return Tuned(max(tried, key=lambda one: _or_worst(one.ndcg_at_10)).contestant, tried)


@dataclass(frozen=True)
class TriedReturn:
    """What one setting of the return reached."""

    boosting: ReturnBoosting
    auc: float  # nan where everybody came back, or nobody


@dataclass(frozen=True)
class TunedReturn:
    """The return after its tuning."""

    chosen: ReturnBoosting
    tried: tuple[TriedReturn, ...]  # in the order of the grid


def tune_return(grid: Sequence[ReturnBoosting], taught: Sequence[Lesson], validation: Lesson) -> TunedReturn:
    """Return the setting of the highest area under the ROC curve on `validation`, the first of equals.

    taught: windows that ended by the cut of `validation`.
    Raises ValueError if the grid is empty.
    """
    if not grid:
        raise ValueError("empty grid: found no setting to try, expected one at least")
    tried = tuple(TriedReturn(boosting, _auc(boosting, taught, validation)) for boosting in grid)
    return TunedReturn(max(tried, key=lambda one: _or_worst(one.auc)).boosting, tried)


def ndcg_of_strengths(depth: int, strength_UT: Floats, touched: Pairs) -> Floats:
    """Return each user's nDCG at `depth`, 0 to 1; nan for a user who touched nothing. Equals stand by rising tag.

    touched: pairs over the same users and tags.
    Raises ValueError if a strength is nan, which no order can place.
    Source: as model/metrics.py, Järvelin and Kekäläinen 2002, with gains of 0 and 1.
    """
    if np.isnan(strength_UT).any():
        raise ValueError(f"{int(np.isnan(strength_UT).sum())} strengths are nan, expected numbers: see the contestant")
    users, tags = strength_UT.shape
    best_UD = np.argsort(-strength_UT, axis=1, kind="stable")[:, :depth]
    is_hit_UD = np.isin(np.arange(users)[:, None] * tags + best_UD, touched.key_P)
    discount_D = 1 / np.log2(np.arange(depth) + 2)
    hits_U = np.bincount(touched.user_P, minlength=users)
    possible_U = np.concatenate([[0.0], np.cumsum(discount_D)])[np.minimum(hits_U, depth)]
    gain_U = (is_hit_UD * discount_D[: best_UD.shape[1]]).sum(axis=1)
    ndcg_U: Floats = np.full(users, np.nan)
    np.divide(gain_U, possible_U, out=ndcg_U, where=hits_U > 0)
    return ndcg_U


def _ndcg_at_10(contestant: Contestant, taught: Sequence[Lesson], validation: Lesson) -> float:
    past = validation.past
    ranker = contestant.prepare(taught, past, validation.cut)
    ndcg_U: list[Floats] = []
    for first in range(0, past.users, USERS_AT_ONCE):
        is_of_batch_U = np.zeros(past.users, bool)
        is_of_batch_U[first : first + USERS_AT_ONCE] = True
        strength_BT = ranker.strength_UT(past.of_users(is_of_batch_U))
        touched = _of_users(validation.touched, first, first + len(strength_BT))
        ndcg_U.append(ndcg_of_strengths(DEPTH, strength_BT, touched))
    return mean_of_the_defined(np.concatenate(ndcg_U)) if ndcg_U else float("nan")


def _auc(boosting: ReturnBoosting, taught: Sequence[Lesson], validation: Lesson) -> float:
    has_returned_U = validation.has_returned_U
    if not has_returned_U.any() or has_returned_U.all():
        return float("nan")
    fitted = boosting.fit(taught)
    return float(roc_auc_score(has_returned_U, fitted.return_probability_U(validation.past, validation.cut)))


def _or_worst(figure: float) -> float:
    """Return a number below every figure in place of nan, which no comparison can place."""
    return -1.0 if np.isnan(figure) else figure


def _of_users(pairs: Pairs, first: int, end: int) -> Pairs:
    """Return the pairs of users `first` to `end`, who then count from 0."""
    start, stop = np.searchsorted(pairs.key_P, np.array([first, end]) * pairs.tags)
    return Pairs(pairs.key_P[start:stop] - first * pairs.tags, pairs.tags)
