"""Next item, leave one out: a user's last item is the question of the test, the one before that of the validation.

Everything before the question may be known. All items but those are ranked; ties stand against the right one.

Shape letters: U users, B users of a batch, V items, N steps (see model/baselines/interactions.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.baselines.interactions import Interactions
from model.data.arrays import Floats, Ints

TEST, VALIDATION = 0, 1  # steps after the question
CELLS_AT_ONCE = 16_000_000  # strengths held in memory
DEPTH = 10


class ItemRanker(Protocol):
    """Something that has learnt which item comes next."""

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        """Return how likely each item comes next for each user of `interactions`, higher is likelier, no nan."""


class ItemContestant(Protocol):
    """A way to rank items, with its settings."""

    @property
    def name(self) -> str:
        """Name the method, without its settings."""

    def settings(self) -> Mapping[str, Any]:
        """Return what was tuned, as JSON."""

    def fit(self, known: Interactions) -> ItemRanker:
        """Return what has learnt from `known`."""


@dataclass(frozen=True, eq=False)
class Question:
    """What every user had turned to before one step of their own, and the item of that step."""

    past: Interactions
    target_U: Ints

    @property
    def users(self) -> int:
        return len(self.target_U)


def question(interactions: Interactions, steps_after: int) -> Question:
    """Ask for the step that `steps_after` others follow: TEST or VALIDATION.

    Raises ValueError if a user has no step before it.
    """
    steps_U = np.bincount(interactions.user_N, minlength=interactions.users)
    if steps_U.min(initial=steps_after + 2) < steps_after + 2:
        raise ValueError(
            f"a user has {steps_U.min()} steps, expected {steps_after + 2} at least: leave out users of few steps"
        )
    after_N = interactions.events_after_N()
    return Question(interactions.of_events(after_N > steps_after), interactions.item_N[after_N == steps_after])


def newest(interactions: Interactions, most: int) -> Interactions:
    """Return the newest `most` steps of each user."""
    return interactions.of_events(interactions.events_after_N() < most)


def ranks_U(ranker: ItemRanker, asked: Question, most: int) -> Ints:
    """Return the place of each target among the items that the user has not turned to, 1 is the best.

    A target stands behind all that are equally strong. most: newest steps of a user that the ranker may look at;
    what is older is left out of the ranking all the same.
    Raises ValueError if the ranker says nan of anything.
    """
    rank_U = np.empty(asked.users, dtype=np.int64)
    first = 0
    for past in asked.past.batches(max(1, CELLS_AT_ONCE // asked.past.things)):
        batch = slice(first, first + past.users)
        rank_U[batch] = ranks_B(ranker.scores_BV(newest(past, most)), past, asked.target_U[batch])
        first = batch.stop
    return rank_U


def ranks_B(scores_BV: NDArray[Any], past: Interactions, target_B: Ints) -> Ints:
    """Return what `ranks_U` does, for users whose strengths are at hand."""
    if np.isnan(scores_BV).any():
        raise ValueError("a strength is nan: expected a number for each item; 0 where the ranker knows nothing")
    user_B = np.arange(len(target_B))
    is_asked_BV = np.ones(scores_BV.shape, dtype=bool)
    is_asked_BV[past.user_N, past.item_N] = False
    is_asked_BV[user_B, target_B] = True
    wins_BV = (scores_BV >= scores_BV[user_B, target_B][:, None]) & is_asked_BV
    ranks_B: Ints = np.count_nonzero(wins_BV, axis=1)
    return ranks_B


def hits_U(rank_U: Ints) -> Floats:
    """Return HR@10 of each user, 0 or 1."""
    return (rank_U <= DEPTH).astype(np.float64)


def ndcg_U(rank_U: Ints) -> Floats:
    """Return nDCG@10 of each user, 0 to 1: one item is right."""
    return np.where(rank_U <= DEPTH, 1 / np.log2(rank_U + 1.0), 0.0)
