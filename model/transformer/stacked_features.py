"""Stacked features: the predictions of other models for each user and tag, as inputs of the network.

The network is trained beside these features, so in training a model must predict a user as it would predict a new one:
it is fitted to the other half of the users. Source: stacked generalization (Wolpert 1992).

A saved Transformer keeps its stacked models as plain data: counts-1, boosted ranking and transition. V-SKNN cannot be
saved, since it remembers other users' sessions, which an erasure request would not reach there.

Shape letters: U users, T tags of a history, P stacked features, V tags of the transition, F features of the transition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xgboost
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.special import logit

from model.baselines.next_tag import NextTagRanker
from model.baselines.simple import CountsRanker
from model.baselines.transition import Bag, Transition
from model.boosting.ranker import BoostedRanker
from model.counts.candidates import scores_of_tags
from model.counts.model import Counts1, Counts1Parameters
from model.data.arrays import Bools, places_UT
from model.data.history import History
from model.data.popularity import Popularity
from model.data.users import stable_hash
from model.errors import InputError
from model.interfaces import FittedModel, Model, TrainingData

MIN_PROBABILITY = 1e-6  # lower bound of a probability, so that its log-odds stay in a range that a network can add up
MIN_SCORE = 1e-2  # lower bound of a score that is no probability; its rank distinguishes lower scores
COUNTS, BOOSTING, TRANSITION = "counts-1", "boosted-ranking", "transition"


@runtime_checkable
class RefittableModel(Protocol):
    """A fitted model that can predict at other cutoffs without its labels."""

    def as_of(self, past: History, cutoff: int) -> FittedModel: ...


@dataclass(frozen=True, eq=False)
class StackedFeatures:
    """Fitted models at one cutoff, and which of them predict probabilities."""

    models: tuple[FittedModel, ...]
    is_probability: tuple[bool, ...]

    @property
    def count(self) -> int:
        """Return P: one feature for a probability, two for another score."""
        return sum(1 if is_probability else 2 for is_probability in self.is_probability)

    def predicted_UTP(self, past: History) -> NDArray[np.float32]:
        """Return the features of every tag of `past.tag_T`; higher is stronger.

        A probability gives its log-odds. Another score has no scale that holds from one fit to the next, so it gives
        its bounded log-odds and also -log(1 + rank), with rank 0 for the best tag.
        """
        predicted_UTP = np.empty((past.users, len(past.tag_T), self.count), np.float32)
        column = 0
        for model, is_probability in zip(self.models, self.is_probability, strict=True):
            scores_UT = model.scores_UT(past)
            least = MIN_PROBABILITY if is_probability else MIN_SCORE
            predicted_UTP[..., column] = logit(np.clip(scores_UT, least, 1 - least))
            if not is_probability:
                column += 1
                predicted_UTP[..., column] = -np.log1p(places_UT(scores_UT))
            column += 1
        return predicted_UTP

    def as_of(self, models: Sequence[Model], past: History, cutoff: int) -> "StackedFeatures":
        """Return the same fits at another cutoff. A model without labels is fitted again."""
        return replace(
            self,
            models=tuple(
                fitted.as_of(past, cutoff)
                if isinstance(fitted, RefittableModel)
                else model.fit(TrainingData((), past, cutoff))
                for fitted, model in zip(self.models, models, strict=True)
            ),
        )


def fit_stacked_models(models: Sequence[Model], data: TrainingData) -> StackedFeatures:
    """Fit each of the models to `data`."""
    return StackedFeatures(tuple(one.fit(data) for one in models), tuple(one.predicts_probabilities for one in models))


@dataclass(frozen=True, eq=False)
class CrossFittedFeatures:
    """Each model fitted twice, once to the labels of either half of the users. The user's hash decides the half."""

    models: tuple[Model, ...]
    by_half: tuple[StackedFeatures, StackedFeatures]  # by the half whose labels were used

    @classmethod
    def of(cls, models: Sequence[Model], data: TrainingData) -> "CrossFittedFeatures":
        halves = [[one.of_users(_is_second_half_U(one.past) == half) for one in data.windows] for half in (0, 1)]
        first, second = (fit_stacked_models(models, replace(data, windows=windows)) for windows in halves)
        return cls(tuple(models), (first, second))

    @property
    def count(self) -> int:
        return self.by_half[0].count

    def predicted_UTP(self, past: History, cutoff: int) -> NDArray[np.float32]:
        """Return the features at `cutoff`, each user's by the models that were fitted to the other half.

        past: all users known at the cutoff, no event at the cutoff or after it.
        """
        first, second = self.by_half
        by_first = first.as_of(self.models, past, cutoff)
        is_second_U = _is_second_half_U(past)
        predicted_UTP = np.empty((past.users, len(past.tag_T), self.count), np.float32)
        predicted_UTP[is_second_U] = by_first.predicted_UTP(past.of_users(is_second_U))
        # A model without labels is the same for both halves, and its fit is costly.
        models = tuple(
            fitted.as_of(past, cutoff) if isinstance(fitted, RefittableModel) else same
            for fitted, same in zip(second.models, by_first.models, strict=True)
        )
        predicted_UTP[~is_second_U] = replace(second, models=models).predicted_UTP(past.of_users(~is_second_U))
        return predicted_UTP


def _is_second_half_U(past: History) -> Bools:
    return stable_hash(past.user_id_U) % 2 == 1


def stack(models: tuple[FittedModel, ...]) -> StackedFeatures:
    """Return the stacked features of models that can be saved; only counts-1 predicts probabilities."""
    return StackedFeatures(models, tuple(isinstance(one, CountsRanker) for one in models))


class CountsOfDay(CountsRanker):
    """counts-1 with the parameters of the day that is scored, as models of earlier releases read it."""


def stacked_model_as_of(fitted: FittedModel, counts: Counts1, moment: int) -> FittedModel:
    """Return a stacked model at a moment, with the popularity of that day's counts-1.

    It keeps the parameters beside which the networks were trained: those of the day may have another half-life.

    Raises ValueError if the model cannot be saved.
    """
    popularity = counts.popularity
    match fitted:
        case CountsOfDay():
            return CountsRanker(counts.fitted, popularity, moment)
        case CountsRanker():
            return replace(fitted, popularity=popularity, cutoff=moment)
        case BoostedRanker():
            return replace(fitted, popularity=popularity, cutoff=moment)
        case NextTagRanker(following=Transition()):
            return replace(
                fitted, share_V=scores_of_tags(fitted.tag_V, popularity.tag_T, popularity.share_T, otherwise=0.0)
            )
    raise _cannot_be_saved(fitted)


def write_stacked_model(fitted: FittedModel, folder: Path, number: int) -> Mapping[str, Any]:
    """Write the arrays of a stacked model and return the rest as JSON. Raises ValueError if it cannot be saved."""
    match fitted:
        case CountsRanker():
            return {"kind": COUNTS, "fitted": fitted.fitted.as_json()}
        case BoostedRanker():
            fitted.trees.save_model(_trees(folder, number))
            return {"kind": BOOSTING, "actions": fitted.actions}
        case NextTagRanker(following=Transition(bags=bags, weight_FV=weight_FV)):
            np.savez(_weights(folder, number), allow_pickle=False, weight_FV=weight_FV)
            return {"kind": TRANSITION, "tags": fitted.tag_V.tolist(), "bags": [asdict(bag) for bag in bags]}
    raise _cannot_be_saved(fitted)


def _cannot_be_saved(fitted: FittedModel) -> ValueError:
    return ValueError(
        f"{type(fitted).__name__} cannot be saved as a stacked model: expected that of {COUNTS}, {BOOSTING} or "
        f"{TRANSITION}"
    )


def read_stacked_model(saved: Mapping[str, Any], folder: Path, number: int, counts: Counts1) -> FittedModel:
    """Read what `write_stacked_model` wrote. Raises InputError if the kind is unknown.

    counts: a placeholder until `stacked_model_as_of` sets that of the day.
    """
    match saved["kind"]:
        case "counts-1" if "fitted" in saved:
            parameters = TypeAdapter(Counts1Parameters).validate_python(saved["fitted"])
            return CountsRanker(parameters, counts.popularity, counts.end)
        case "counts-1":
            return CountsOfDay(counts.fitted, counts.popularity, counts.end)
        case "boosted-ranking":
            trees = xgboost.Booster()
            trees.load_model(_trees(folder, number))
            return BoostedRanker(trees, tuple(saved["actions"]), counts.popularity, counts.end)
        case "transition":
            with np.load(_weights(folder, number), allow_pickle=False) as arrays:
                following = Transition(tuple(Bag(**bag) for bag in saved["bags"]), arrays["weight_FV"])
            return NextTagRanker(np.array(saved["tags"], dtype=object), np.zeros(len(saved["tags"])), following)
    raise InputError(
        f"the model in {folder} has a stacked model of the kind {saved['kind']!r}, expected {COUNTS}, {BOOSTING} or "
        f"{TRANSITION}: a newer version wrote it; train again, or score with --model none"
    )


def no_users() -> Popularity:
    """Return the popularity of an empty history."""
    none = np.empty(0, np.int64)
    return Popularity(np.empty(0, object), np.empty(0), 0.5, none, none, np.empty(0))


def _trees(folder: Path, number: int) -> Path:
    return folder / f"stacked-{number}.ubj"


def _weights(folder: Path, number: int) -> Path:
    return folder / f"stacked-{number}.npz"
