"""The models that an evaluation compares: search spaces tuned on the validation cutoff, and pretrained models."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from model.counts.candidates import AffinityRanker
from model.counts.model import VERSION as COUNTS
from model.counts.model import fit_counts_to_history
from model.data.days import HORIZON_DAYS, end_of_day
from model.data.folds import Histories, TrainingWindows, history_at
from model.evaluation.holdout import TestSet, TopK, predict_top_k
from model.interfaces import FittedModel, Model, SavedModel, TrainingData
from model.model_selection import load
from model.registry import Registry, newest_promoted


class Pretrained(Protocol):
    """A model that the evaluation does not tune."""

    @property
    def name(self) -> str: ...

    @property
    def predicts_probabilities(self) -> bool:
        """Whether a score is the probability that the user touches the tag in the window."""

    def as_of(self, histories: Histories, cutoff: date) -> FittedModel | None:
        """Return the model at the end of `cutoff`, None if it did not exist yet."""


@dataclass(frozen=True)
class PretrainedCounts:
    """counts-1, fitted at the cutoff as in every night."""

    horizon_days: int = HORIZON_DAYS
    name: str = COUNTS
    predicts_probabilities: bool = True

    def as_of(self, histories: Histories, cutoff: date) -> FittedModel:
        counts = fit_counts_to_history(histories[cutoff], cutoff, self.horizon_days)
        return AffinityRanker(counts.fitted.affinity_P, counts.popularity, counts.end)


@dataclass(frozen=True, eq=False)
class PretrainedVersions:
    """Saved models by the cutoffs at which they are used, each with the counts-1 of that day."""

    name: str
    saved_of_cutoff: Mapping[date, SavedModel]
    horizon_days: int = HORIZON_DAYS
    predicts_probabilities: bool = True

    def as_of(self, histories: Histories, cutoff: date) -> FittedModel | None:
        if cutoff not in self.saved_of_cutoff:
            return None
        counts = fit_counts_to_history(histories[cutoff], cutoff, self.horizon_days)
        return self.saved_of_cutoff[cutoff].fitted_as_of(counts, histories[cutoff])


def champion(registry: Registry, cutoffs: Sequence[date], horizon_days: int) -> PretrainedVersions | None:
    """Return the newest version promoted by each cutoff, under the name of the newest; None if there is none.

    Only versions of this horizon count.

    Raises InputError as `load` does.
    """
    versions = registry.versions()
    promoted = {cutoff: newest_promoted(versions, cutoff, horizon_days) for cutoff in cutoffs}
    newest = promoted[max(cutoffs)]
    if newest is None:
        return None
    saved = {version: load(version, registry) for version in set(promoted.values()) if version}
    return PretrainedVersions(
        f"champion {newest.name}", {cutoff: saved[one] for cutoff, one in promoted.items() if one}, horizon_days
    )


class FitAsOf(Protocol):
    """Fits a model at the end of a day; None if it did not exist yet."""

    def __call__(self, histories: Histories, cutoff: date, /) -> FittedModel | None: ...


@dataclass(frozen=True, eq=False)
class Selected:
    """An entrant with the settings that are tested, and its predictions at the validation cutoff."""

    name: str
    predicts_probabilities: bool
    settings: Mapping[str, Any]
    fit: FitAsOf
    fit_for_leakage_check: FitAsOf  # the same with less training where that is costly
    validation: TopK | None = None  # None if it did not exist at that cutoff
    tried: Sequence[Mapping[str, Any]] = ()  # each setting with its nDCG@10 at the validation cutoff
    seconds: float = 0.0  # spent on tuning


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """Some settings of one method."""

    name: str
    models: Sequence[Model]

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError(f"the search space {self.name} has no model: expected one setting at least")

    def choose(self, windows: TrainingWindows, validation: TestSet) -> Selected:
        """Select the setting of the highest nDCG@10 at the validation cutoff, the first of equals."""
        started = time.perf_counter()
        data = TrainingData(windows.by(windows.histories, validation.cutoff), validation.all_users, validation.moment)
        best: tuple[float, Model, TopK] | None = None
        tried = []
        for model in self.models:
            top_k = predict_top_k(model.fit(data), validation)
            ndcg = top_k.ndcg()
            tried.append({"settings": dict(model.settings()), "validation_ndcg_at_10": ndcg})
            if best is None or ndcg > best[0]:
                best = ndcg, model, top_k
        assert best is not None
        _, chosen, top_k = best
        cheaper = chosen.for_leakage_check()
        return Selected(
            name=self.name,
            predicts_probabilities=chosen.predicts_probabilities,
            settings=chosen.settings(),
            fit=lambda histories, cutoff: fit_as_of(chosen, windows, histories, cutoff),
            fit_for_leakage_check=lambda histories, cutoff: fit_as_of(cheaper, windows, histories, cutoff),
            validation=top_k,
            tried=tried,
            seconds=time.perf_counter() - started,
        )


@dataclass(frozen=True, eq=False)
class Fixed:
    """A pretrained model: there is nothing to tune."""

    pretrained: Pretrained

    @property
    def name(self) -> str:
        return self.pretrained.name

    def choose(self, windows: TrainingWindows, validation: TestSet) -> Selected:
        started = time.perf_counter()
        fitted = self.pretrained.as_of(windows.histories, validation.cutoff)
        top_k = predict_top_k(fitted, validation) if fitted else None
        return self.selected(top_k, time.perf_counter() - started)

    def selected(self, validation: TopK | None = None, seconds: float = 0.0) -> Selected:
        one = self.pretrained
        return Selected(one.name, one.predicts_probabilities, {}, one.as_of, one.as_of, validation, (), seconds)


Entrant = SearchSpace | Fixed


def training_data(
    windows: TrainingWindows, histories: Histories, cutoff: date, at_most: int | None = None
) -> TrainingData:
    """Return all that is known at the end of `cutoff`, with the newest `at_most` windows if given."""
    ended = windows.by(histories, cutoff)
    return TrainingData(ended[-(at_most or len(ended)) :], history_at(histories, cutoff), end_of_day(cutoff))


def fit_as_of(model: Model, windows: TrainingWindows, histories: Histories, cutoff: date) -> FittedModel:
    """Return the model fitted to all that is known at the end of `cutoff`."""
    return model.fit(training_data(windows, histories, cutoff))


def entrants(search_spaces: Mapping[str, Sequence[Model]], pretrained: Sequence[Pretrained]) -> list[Entrant]:
    return [*map(Fixed, pretrained), *(SearchSpace(name, models) for name, models in search_spaces.items())]
