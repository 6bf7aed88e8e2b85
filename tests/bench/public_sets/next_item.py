"""Next item, leave one out: a user's last item is the target of the test, the one before that of the validation.

The history before the target is known. All unseen items are ranked; ties count against the target.

Shape letters: U users, B users of a batch, V items, N steps (see model/baselines/interactions.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.baselines.interactions import Interactions
from model.data.arrays import Floats, Ints

TEST, VALIDATION = 0, 1  # steps after the target
CELLS_AT_ONCE = 16_000_000  # scores held in memory
DEPTH = 10


class ItemRanker(Protocol):
    """A fitted model of the next item."""

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        """Return how likely each item comes next for each user of `interactions`, higher is likelier, no nan."""


class ItemModel(Protocol):
    """A model of the next item with its settings."""

    @property
    def name(self) -> str:
        """The name of the model, without its settings."""

    def settings(self) -> Mapping[str, Any]:
        """Return the tuned settings, as JSON."""

    def fit(self, known: Interactions) -> ItemRanker:
        """Return the model fitted to `known`."""


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """The history of every user before one step, and the item of that step."""

    past: Interactions
    target_U: Ints

    @property
    def users(self) -> int:
        return len(self.target_U)


def leave_one_out(interactions: Interactions, steps_after: int) -> LeaveOneOut:
    """Return the task whose target is followed by `steps_after` others: TEST or VALIDATION.

    Raises ValueError if a user has no step before it.
    """
    steps_U = np.bincount(interactions.user_N, minlength=interactions.users)
    if steps_U.min(initial=steps_after + 2) < steps_after + 2:
        raise ValueError(
            f"a user has {steps_U.min()} steps, expected {steps_after + 2} at least: leave out users of few steps"
        )
    after_N = interactions.events_after_N()
    return LeaveOneOut(interactions.of_events(after_N > steps_after), interactions.item_N[after_N == steps_after])


def newest(interactions: Interactions, most: int) -> Interactions:
    """Return the newest `most` steps of each user."""
    return interactions.of_events(interactions.events_after_N() < most)


def ranks_U(ranker: ItemRanker, task: LeaveOneOut, most: int) -> Ints:
    """Return the rank of each target among the items that the user has not seen, 1 is the best.

    A target ranks behind all items of equal score. most: newest steps of a user that the ranker may use; older items
    still count as seen.
    Raises ValueError if a score is nan.
    """
    rank_U = np.empty(task.users, dtype=np.int64)
    first = 0
    for past in task.past.batches(max(1, CELLS_AT_ONCE // task.past.items)):
        batch = slice(first, first + past.users)
        rank_U[batch] = ranks_B(ranker.scores_BV(newest(past, most)), past, task.target_U[batch])
        first = batch.stop
    return rank_U


def ranks_B(scores_BV: NDArray[Any], past: Interactions, target_B: Ints) -> Ints:
    """Return the ranks as in `ranks_U`, from given scores."""
    if np.isnan(scores_BV).any():
        raise ValueError("a score is nan: expected a number for each item; 0 where the ranker knows nothing")
    user_B = np.arange(len(target_B))
    is_ranked_BV = np.ones(scores_BV.shape, dtype=bool)
    is_ranked_BV[past.user_N, past.item_N] = False
    is_ranked_BV[user_B, target_B] = True
    wins_BV = (scores_BV >= scores_BV[user_B, target_B][:, None]) & is_ranked_BV
    ranks_B: Ints = np.count_nonzero(wins_BV, axis=1)
    return ranks_B


def hits_U(rank_U: Ints) -> Floats:
    """Return HR@10 of each user, 0 or 1."""
    return (rank_U <= DEPTH).astype(np.float64)


def ndcg_U(rank_U: Ints) -> Floats:
    """Return nDCG@10 of each user, 0 to 1: one item is right."""
    return np.where(rank_U <= DEPTH, 1 / np.log2(rank_U + 1.0), 0.0)
