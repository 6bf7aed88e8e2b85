"""Models that come as they are, with nothing to tune here: counts-1, and the champion of the registry.

Who takes part: families that are tuned on the validation cut, and models that come as they are.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from model.counts.candidates import AffinityRanker
from model.counts.model import VERSION as COUNTS
from model.counts.model import fit_counts_to_history
from model.data.days import end_of_day
from model.data.folds import Histories, TrainingWindows
from model.evaluation.holdout import TestSet, TopK, history_at, predict_top_k
from model.interfaces import FittedModel, Model, SavedModel, TrainingData
from model.model_selection import load
from model.registry import Registry, newest_promoted


class Pretrained(Protocol):
    """A model that is not tuned by the evaluation."""

    @property
    def name(self) -> str: ...

    @property
    def predicts_probabilities(self) -> bool:
        """Whether a strength is meant as a probability."""

    def as_of(self, known: Histories, cutoff: date) -> FittedModel | None:
        """Return what it was at the end of `cutoff`, None where there was none yet."""


@dataclass(frozen=True)
class PretrainedCounts:
    """counts-1, fitted as of the cut as every night does it."""

    name: str = COUNTS
    predicts_probabilities: bool = True

    def as_of(self, known: Histories, cutoff: date) -> FittedModel:
        counts = fit_counts_to_history(known[cutoff], cutoff)
        return AffinityRanker(counts.fitted.affinity_P, counts.popularity, counts.end)


@dataclass(frozen=True, eq=False)
class PretrainedVersions:
    """The champion: at each cut the newest version promoted by then, of any kind, and what was popular that day."""

    name: str
    kept_of_cut: dict[date, SavedModel]
    predicts_probabilities: bool = True

    def as_of(self, known: Histories, cutoff: date) -> FittedModel | None:
        if cutoff not in self.kept_of_cut:
            return None
        return self.kept_of_cut[cutoff].fitted_as_of(fit_counts_to_history(known[cutoff], cutoff))


def champion(registry: Registry, cutoffs: Sequence[date]) -> PretrainedVersions | None:
    """Return the champion as it was at the newest of `cutoffs` and at those before; None where there was none yet.

    Raises InputError as `load` does.
    """
    versions = registry.versions()
    promoted = {cutoff: newest_promoted(versions, cutoff) for cutoff in cutoffs}
    newest = promoted[max(cutoffs)]
    if newest is None:
        return None
    kept = {version: load(version, registry) for version in set(promoted.values()) if version}
    return PretrainedVersions(f"champion {newest.name}", {cutoff: kept[one] for cutoff, one in promoted.items() if one})


FitAsOf = Callable[[Histories, date], FittedModel | None]  # what it is at the end of a day; None where it is not yet


@dataclass(frozen=True, eq=False)
class Selected:
    """An entrant as it goes into the test, and what it said at the validation cut."""

    name: str
    predicts_probabilities: bool
    settings: Mapping[str, Any]
    fit: FitAsOf
    fit_for_leakage_check: FitAsOf  # the same way, with less learning where that is dear
    validation: TopK | None  # None where it did not exist yet
    tried: Sequence[Mapping[str, Any]]  # each setting with its nDCG@10 on the validation cut
    seconds: float


class Entrant(Protocol):
    """Somebody to judge."""

    @property
    def name(self) -> str: ...

    def choose(self, windows: TrainingWindows, validation: TestSet) -> Selected:
        """Return what stands for this entrant in the test. Nothing later than the validation window is looked at."""


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """One method with some settings of it, under the name of the family."""

    name: str
    models: Sequence[Model]

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError(f"the family {self.name} has no contestant: expected one setting at least")

    def choose(self, windows: TrainingWindows, validation: TestSet) -> Selected:
        """Take the contestant of the highest nDCG@10 at the validation cut, the first of equals."""
        started = time.perf_counter()
        taught = windows.by(windows.known, validation.cutoff)
        best: tuple[float, Model, TopK] | None = None
        tried = []
        for model in self.models:
            top_k = predict_top_k(model.fit(TrainingData(taught, validation.everybody, validation.moment)), validation)
            ndcg = top_k.ndcg()
            tried.append({"settings": dict(model.settings()), "validation_ndcg_at_10": ndcg})
            if best is None or ndcg > best[0]:
                best = ndcg, model, top_k
        assert best is not None
        _, chosen, top_k = best
        guarded = chosen.for_leakage_check()
        return Selected(
            name=self.name,
            predicts_probabilities=chosen.predicts_probabilities,
            settings=chosen.settings(),
            fit=lambda known, cutoff: fit_as_of(chosen, windows, known, cutoff),
            fit_for_leakage_check=lambda known, cutoff: fit_as_of(guarded, windows, known, cutoff),
            validation=top_k,
            tried=tried,
            seconds=time.perf_counter() - started,
        )


@dataclass(frozen=True, eq=False)
class Fixed:
    """A model with nothing to tune."""

    ready: Pretrained

    @property
    def name(self) -> str:
        return self.ready.name

    def choose(self, windows: TrainingWindows, validation: TestSet) -> Selected:
        started = time.perf_counter()
        ranker = self.ready.as_of(windows.known, validation.cutoff)
        top_k = predict_top_k(ranker, validation) if ranker else None
        return Selected(
            name=self.ready.name,
            predicts_probabilities=self.ready.predicts_probabilities,
            settings={},
            fit=self.ready.as_of,
            fit_for_leakage_check=self.ready.as_of,
            validation=top_k,
            tried=(),
            seconds=time.perf_counter() - started,
        )


def fit_as_of(model: Model, windows: TrainingWindows, known: Histories, cutoff: date) -> FittedModel:
    """Return the contestant at the end of `cutoff`, taught by the windows that ended by then."""
    return model.fit(TrainingData(windows.by(known, cutoff), history_at(known, cutoff), end_of_day(cutoff)))


def entrants(families: Mapping[str, Sequence[Model]], ready: Sequence[Pretrained]) -> list[Entrant]:
    return [*(Fixed(one) for one in ready), *(SearchSpace(name, settings) for name, settings in families.items())]
