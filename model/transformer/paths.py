"""What other models say of each user and tag, as numbers that the network adds to its own.

A path is prepared by the windows before the one it speaks of, so that it has never seen the answers which the network
learns from beside it.

Shape letters: U users, T tags asked about, P paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from model.counts.lesson import Lesson
from model.evaluation.contestant import Contestant, Ranker
from model.history import History

LEAST = 1e-6  # of a strength, so that its logarithm stays within what a network can add up


@dataclass(frozen=True, eq=False)
class Paths:
    """Models as of one cut."""

    rankers: tuple[Ranker, ...]

    def log_odds_UTP(self, past: History) -> NDArray[np.float32]:
        """Return the log-odds of each strength, which lies between 0 and 1, for every tag of `past.tag_T`."""
        told = [logit(np.clip(ranker.strength_UT(past), LEAST, 1 - LEAST)) for ranker in self.rankers]
        shape = (past.users, len(past.tag_T), 0)
        return np.stack(told, axis=-1).astype(np.float32) if told else np.empty(shape, np.float32)


def prepare_paths(contestants: Sequence[Contestant], taught: Sequence[Lesson], past: History, cut: int) -> Paths:
    """Return what the contestants are at `cut`; see `Contestant.prepare`."""
    return Paths(tuple(one.prepare(taught, past, cut) for one in contestants))
