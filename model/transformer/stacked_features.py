"""What other models say of each user and tag, as numbers that the network adds to its own.

The network learns beside its paths, so a path must say of a user in training what it would say of a stranger: it is
taught by the other half of the users. Source: stacked generalisation (Wolpert 1992).

Shape letters: U users, T tags asked about, P numbers about a user and tag.

The paths that a night can walk: those that can be kept as plain data and told what is popular today.

V-SKNN is none of them: it remembers other users' sessions, which would lie in a file that no erasure reaches.

Shape letters: V tags learnt of, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xgboost
from numpy.typing import NDArray
from scipy.special import logit

from model.baselines.next_tag import NextTagRanker
from model.baselines.simple import CountsRanker
from model.baselines.transition import Bag, Transition
from model.boosting.ranker import BoostedRanker
from model.counts.candidates import told_of
from model.counts.model import Counts1
from model.data.arrays import Bools, places_UT
from model.data.history import History
from model.data.labels import Lesson
from model.data.popularity import Popularity
from model.data.users import stable_hash
from model.errors import InputError
from model.interfaces import Contestant, Ranker

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

    @property
    def numbers(self) -> int:
        """Return how many numbers the paths say of a user and tag: a rank, too, where it is no probability."""
        return sum(1 if is_probability else 2 for is_probability in self.state_probabilities)

    def told_UTP(self, past: History) -> NDArray[np.float32]:
        """Return what the paths say of every tag of `past.tag_T`, higher is stronger.

        Of a probability the log-odds. Other strengths have no scale that holds from one fit to the next, so of them
        the order counts too: the tag of rank r, from 1 on, gets -log r beside its log-odds, which are cut at the foot.
        """
        told_UTP = np.empty((past.users, len(past.tag_T), self.numbers), np.float32)
        column = 0
        for ranker, is_probability in zip(self.rankers, self.state_probabilities, strict=True):
            strength_UT = ranker.strength_UT(past)
            least = LEAST if is_probability else LEAST_STRENGTH
            told_UTP[..., column] = logit(np.clip(strength_UT, least, 1 - least))
            if not is_probability:
                column += 1
                told_UTP[..., column] = -np.log1p(places_UT(strength_UT))
            column += 1
        return told_UTP

    def as_of(self, contestants: Sequence[Contestant], past: History, cut: int) -> "Paths":
        """Return the same models at another cut, with what they have learnt; what learns from no lesson begins anew."""
        return replace(
            self,
            rankers=tuple(
                ranker.as_of(past, cut) if isinstance(ranker, TaughtRanker) else contestant.prepare((), past, cut)
                for ranker, contestant in zip(self.rankers, contestants, strict=True)
            ),
        )


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

    @property
    def numbers(self) -> int:
        return self.taught_by_half[0].numbers

    def told_UTP(self, past: History, cut: int) -> NDArray[np.float32]:
        """Return what `Paths.told_UTP` does, at `cut`, of each user by those who were taught by the other half.

        past: everybody known at the cut, nothing at the cut or after it.
        """
        first, second = self.taught_by_half
        of_first = first.as_of(self.contestants, past, cut)
        is_second_U = _is_second_half_U(past)
        told_UTP = np.empty((past.users, len(past.tag_T), self.numbers), np.float32)
        told_UTP[is_second_U] = of_first.told_UTP(past.of_users(is_second_U))
        # What learns from no lesson is the same for both halves, and costly.
        rankers = tuple(
            ranker.as_of(past, cut) if isinstance(ranker, TaughtRanker) else same
            for ranker, same in zip(second.rankers, of_first.rankers, strict=True)
        )
        told_UTP[~is_second_U] = replace(second, rankers=rankers).told_UTP(past.of_users(~is_second_U))
        return told_UTP


def _is_second_half_U(past: History) -> Bools:
    return stable_hash(past.user_id_U) % 2 == 1


COUNTS, BOOSTING, TRANSITION = "counts-1", "boosted-ranking", "transition"


def together(rankers: tuple[Ranker, ...]) -> Paths:
    """Return rankers as paths; of those that a night can walk, counts-1 alone states probabilities."""
    return Paths(rankers, tuple(isinstance(ranker, CountsRanker) for ranker in rankers))


def anchored(path: Ranker, counts: Counts1, moment: int) -> Ranker:
    """Return a path as of a moment, by the popularity and the fit of the counts-1 of the day.

    Raises ValueError if it is no path that a night can walk.
    """
    crowd = counts.popularity
    match path:
        case CountsRanker():
            return CountsRanker(counts.fitted, crowd, moment)
        case BoostedRanker():
            return replace(path, crowd=crowd, cut=moment)
        case NextTagRanker(following=Transition()):
            return replace(path, share_V=told_of(path.tag_V, crowd.tag_T, crowd.share_T, otherwise=0.0))
    raise ValueError(f"{type(path).__name__} cannot be kept; expected the ranker of {COUNTS}, {BOOSTING}, {TRANSITION}")


def write_path(path: Ranker, folder: Path, number: int) -> Mapping[str, Any]:
    """Write what a path has learnt, and return what is to be told of it in JSON.

    Raises ValueError if it is no path that a night can walk.
    """
    match path:
        case CountsRanker():
            return {"kind": COUNTS}
        case BoostedRanker():
            path.trees.save_model(_trees(folder, number))
            return {"kind": BOOSTING, "actions": path.actions}
        case NextTagRanker(following=Transition(bags=bags, weight_FV=weight_FV)):
            np.savez(_weights(folder, number), allow_pickle=False, weight_FV=weight_FV)
            return {"kind": TRANSITION, "tags": path.tag_V.tolist(), "bags": [asdict(bag) for bag in bags]}
    raise ValueError(f"{type(path).__name__} cannot be kept; expected the ranker of {COUNTS}, {BOOSTING}, {TRANSITION}")


def read_path(told: Mapping[str, Any], folder: Path, number: int, counts: Counts1) -> Ranker:
    """Read what `write_path` wrote. Raises InputError if it is of a kind that this code does not know.

    counts: stands in for that of a day until `anchored` is told one.
    """
    match told["kind"]:
        case "counts-1":
            return CountsRanker(counts.fitted, counts.popularity, counts.end)
        case "boosted-ranking":
            trees = xgboost.Booster()
            trees.load_model(_trees(folder, number))
            return BoostedRanker(trees, tuple(told["actions"]), counts.popularity, counts.end)
        case "transition":
            with np.load(_weights(folder, number), allow_pickle=False) as arrays:
                following = Transition(tuple(Bag(**bag) for bag in told["bags"]), arrays["weight_FV"])
            return NextTagRanker(np.array(told["tags"], dtype=object), np.zeros(len(told["tags"])), following)
    raise InputError(
        f"the model in {folder} has a path of the kind {told['kind']!r}, expected {COUNTS}, {BOOSTING} or "
        f"{TRANSITION}: a newer version made it; train again, or score with --model none"
    )


def nobody() -> Popularity:
    """Return what is popular where nobody was seen."""
    none = np.empty(0, np.int64)
    return Popularity(np.empty(0, object), np.empty(0), 0.5, none, none, np.empty(0))


def _trees(folder: Path, number: int) -> Path:
    return folder / f"path-{number}.ubj"


def _weights(folder: Path, number: int) -> Path:
    return folder / f"path-{number}.npz"
