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
from model.counts.candidates import scores_of_tags
from model.counts.model import Counts1
from model.data.arrays import Bools, places_UT
from model.data.history import History
from model.data.popularity import Popularity
from model.data.users import stable_hash
from model.errors import InputError
from model.interfaces import FittedModel, Model, TrainingData

MIN_PROBABILITY = 1e-6  # of a probability, so that its logarithm stays within what a network can add up
MIN_SCORE = 1e-2  # of any other strength: what lies below is told apart by its rank


@runtime_checkable
class RefittableModel(Protocol):
    """A Ranker that was taught by lessons and can be asked at other cuts with what it has learnt."""

    def as_of(self, past: History, cutoff: int) -> FittedModel: ...


@dataclass(frozen=True, eq=False)
class StackedFeatures:
    """Models as of one cut, and whether the strength that each gives is meant as a probability."""

    rankers: tuple[FittedModel, ...]
    state_probabilities: tuple[bool, ...]

    @property
    def numbers(self) -> int:
        """Return how many numbers the paths say of a user and tag: a rank, too, where it is no probability."""
        return sum(1 if is_probability else 2 for is_probability in self.state_probabilities)

    def predicted_UTP(self, past: History) -> NDArray[np.float32]:
        """Return what the paths say of every tag of `past.tag_T`, higher is stronger.

        Of a probability the log-odds. Other strengths have no scale that holds from one fit to the next, so of them
        the order counts too: the tag of rank r, from 1 on, gets -log r beside its log-odds, which are cut at the foot.
        """
        predicted_UTP = np.empty((past.users, len(past.tag_T), self.numbers), np.float32)
        column = 0
        for ranker, is_probability in zip(self.rankers, self.state_probabilities, strict=True):
            scores_UT = ranker.scores_UT(past)
            least = MIN_PROBABILITY if is_probability else MIN_SCORE
            predicted_UTP[..., column] = logit(np.clip(scores_UT, least, 1 - least))
            if not is_probability:
                column += 1
                predicted_UTP[..., column] = -np.log1p(places_UT(scores_UT))
            column += 1
        return predicted_UTP

    def as_of(self, models: Sequence[Model], past: History, cutoff: int) -> "StackedFeatures":
        """Return the same models at another cut, with what they have learnt; what learns from no lesson begins anew."""
        return replace(
            self,
            rankers=tuple(
                ranker.as_of(past, cutoff)
                if isinstance(ranker, RefittableModel)
                else model.fit(TrainingData((), past, cutoff))
                for ranker, model in zip(self.rankers, models, strict=True)
            ),
        )


def fit_stacked_models(models: Sequence[Model], data: TrainingData) -> StackedFeatures:
    """Fit each of the models to `data`."""
    return StackedFeatures(
        tuple(one.fit(data) for one in models),
        tuple(one.predicts_probabilities for one in models),
    )


@dataclass(frozen=True, eq=False)
class CrossFittedFeatures:
    """Each path twice, taught by either half of the users, who are told apart by their hash."""

    models: tuple[Model, ...]
    taught_by_half: tuple[StackedFeatures, StackedFeatures]

    @classmethod
    def of(cls, models: Sequence[Model], data: TrainingData) -> "CrossFittedFeatures":
        halves = [[one.of_users(_is_second_half_U(one.past) == half) for one in data.windows] for half in (0, 1)]
        first, second = (fit_stacked_models(models, replace(data, windows=windows)) for windows in halves)
        return cls(tuple(models), (first, second))

    @property
    def numbers(self) -> int:
        return self.taught_by_half[0].numbers

    def predicted_UTP(self, past: History, cutoff: int) -> NDArray[np.float32]:
        """Return what `Paths.told_UTP` does, at `cutoff`, of each user by those who were taught by the other half.

        past: everybody known at the cut, nothing at the cut or after it.
        """
        first, second = self.taught_by_half
        of_first = first.as_of(self.models, past, cutoff)
        is_second_U = _is_second_half_U(past)
        predicted_UTP = np.empty((past.users, len(past.tag_T), self.numbers), np.float32)
        predicted_UTP[is_second_U] = of_first.predicted_UTP(past.of_users(is_second_U))
        # What learns from no lesson is the same for both halves, and costly.
        rankers = tuple(
            ranker.as_of(past, cutoff) if isinstance(ranker, RefittableModel) else same
            for ranker, same in zip(second.rankers, of_first.rankers, strict=True)
        )
        predicted_UTP[~is_second_U] = replace(second, rankers=rankers).predicted_UTP(past.of_users(~is_second_U))
        return predicted_UTP


def _is_second_half_U(past: History) -> Bools:
    return stable_hash(past.user_id_U) % 2 == 1


COUNTS, BOOSTING, TRANSITION = "counts-1", "boosted-ranking", "transition"


def stack(rankers: tuple[FittedModel, ...]) -> StackedFeatures:
    """Return rankers as paths; of those that a night can walk, counts-1 alone states probabilities."""
    return StackedFeatures(rankers, tuple(isinstance(ranker, CountsRanker) for ranker in rankers))


def stacked_model_as_of(path: FittedModel, counts: Counts1, moment: int) -> FittedModel:
    """Return a path as of a moment, by the popularity and the fit of the counts-1 of the day.

    Raises ValueError if it is no path that a night can walk.
    """
    popularity = counts.popularity
    match path:
        case CountsRanker():
            return CountsRanker(counts.fitted, popularity, moment)
        case BoostedRanker():
            return replace(path, popularity=popularity, cutoff=moment)
        case NextTagRanker(following=Transition()):
            return replace(
                path, share_V=scores_of_tags(path.tag_V, popularity.tag_T, popularity.share_T, otherwise=0.0)
            )
    raise ValueError(f"{type(path).__name__} cannot be kept; expected the ranker of {COUNTS}, {BOOSTING}, {TRANSITION}")


def write_stacked_model(path: FittedModel, folder: Path, number: int) -> Mapping[str, Any]:
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


def read_stacked_model(told: Mapping[str, Any], folder: Path, number: int, counts: Counts1) -> FittedModel:
    """Read what `write_stacked_model` wrote. Raises InputError if it is of a kind that this code does not know.

    counts: stands in for that of a day until `stacked_model_as_of` is told one.
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


def no_users() -> Popularity:
    """Return what is popular where nobody was seen."""
    none = np.empty(0, np.int64)
    return Popularity(np.empty(0, object), np.empty(0), 0.5, none, none, np.empty(0))


def _trees(folder: Path, number: int) -> Path:
    return folder / f"path-{number}.ubj"


def _weights(folder: Path, number: int) -> Path:
    return folder / f"path-{number}.npz"
