"""What other models say of each user and tag, as numbers that the network adds to its own.

The network learns beside its paths, so a path must say of a user in training what it would say of a stranger: it is
taught by the other half of the users. Source: stacked generalisation (Wolpert 1992).

Shape letters: U users, T tags asked about, P paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from model.arrays import Bools, Floats
from model.counts.lesson import Lesson
from model.evaluation.contestant import Contestant, Ranker
from model.history import History
from model.user_hash import stable_hash

LEAST = 1e-6  # of a probability, so that its logarithm stays within what a network can add up
LEAST_STRENGTH = 1e-2  # of any other strength: what lies below is told apart by its rank


@runtime_checkable
class TaughtRanker(Protocol):
    """A Ranker that was taught by lessons and can be asked at other cuts with what it has learnt."""

    def as_of(self, past: History, cut: int) -> Ranker: ...


@dataclass(frozen=True, eq=False)
class Paths:
    """Models as of one cut, and whether the strength that each gives is meant as a probability."""

    rankers: tuple[Ranker, ...]
    state_probabilities: tuple[bool, ...]

    def told_UTP(self, past: History) -> NDArray[np.float32]:
        """Return what the paths say of every tag of `past.tag_T`, higher is stronger: P = `columns`.

        Of a probability the log-odds. Other strengths have no scale that holds from one fit to the next, so of them
        the order counts too: the tag of rank r, from 1 on, gets -log r beside its log-odds, which are cut at the foot.
        """
        columns: list[Floats] = []
        for ranker, is_probability in zip(self.rankers, self.state_probabilities, strict=True):
            strength_UT = ranker.strength_UT(past)
            least = LEAST if is_probability else LEAST_STRENGTH
            columns.append(logit(np.clip(strength_UT, least, 1 - least)))
            if not is_probability:
                columns.append(-np.log1p(_place_UT(strength_UT)))
        told = [column_UT.astype(np.float32) for column_UT in columns]
        return np.stack(told, axis=-1) if told else np.empty((past.users, len(past.tag_T), 0), np.float32)


def columns(contestants: Sequence[Contestant]) -> int:
    """Return how many numbers the contestants say of a user and tag."""
    return sum(1 if one.states_probabilities else 2 for one in contestants)


def _place_UT(strength_UT: Floats) -> Floats:
    order_UT = np.argsort(-strength_UT, axis=1, kind="stable")
    place_UT = np.empty(strength_UT.shape)
    np.put_along_axis(place_UT, order_UT, np.arange(strength_UT.shape[1], dtype=np.float64)[None], axis=1)
    return place_UT


def prepare_paths(contestants: Sequence[Contestant], taught: Sequence[Lesson], past: History, cut: int) -> Paths:
    """Return what the contestants are at `cut`; see `Contestant.prepare`."""
    return Paths(
        tuple(one.prepare(taught, past, cut) for one in contestants),
        tuple(one.states_probabilities for one in contestants),
    )


@dataclass(frozen=True, eq=False)
class CrossFittedPaths:
    """Each path twice, taught by either half of the users, who are told apart by their hash."""

    contestants: tuple[Contestant, ...]
    taught_by_half: tuple[Paths, Paths]

    @classmethod
    def of(
        cls, contestants: Sequence[Contestant], taught: Sequence[Lesson], past: History, cut: int
    ) -> "CrossFittedPaths":
        halves = [[lesson.of_users(_is_second_half_U(lesson.past) == half) for lesson in taught] for half in (0, 1)]
        first, second = (prepare_paths(contestants, lessons, past, cut) for lessons in halves)
        return cls(tuple(contestants), (first, second))

    def told_UTP(self, past: History, cut: int) -> NDArray[np.float32]:
        """Return what `Paths.told_UTP` does, at `cut`, of each user by those who were taught by the other half.

        past: everybody known at the cut, nothing at the cut or after it.
        """
        told_UTP = np.empty((past.users, len(past.tag_T), columns(self.contestants)), np.float32)
        untaught = {
            number: contestant.prepare((), past, cut)
            for number, contestant in enumerate(self.contestants)
            if not isinstance(self.taught_by_half[0].rankers[number], TaughtRanker)
        }
        is_second_U = _is_second_half_U(past)
        for half, taught in enumerate(self.taught_by_half):
            is_asked_U = is_second_U != half
            rankers = tuple(
                ranker.as_of(past, cut) if isinstance(ranker, TaughtRanker) else untaught[number]
                for number, ranker in enumerate(taught.rankers)
            )
            told_UTP[is_asked_U] = replace(taught, rankers=rankers).told_UTP(past.of_users(is_asked_U))
        return told_UTP


def _is_second_half_U(past: History) -> Bools:
    return stable_hash(past.user_id_U) % 2 == 1
