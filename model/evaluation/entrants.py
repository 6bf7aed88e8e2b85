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
from model.counts.model import fit_history
from model.data.days import end_of_day
from model.data.folds import Known, Lessons
from model.evaluation.holdout import Exam, Listing, ask, known_at
from model.interfaces import Contestant, CostlyContestant, Kept, Ranker
from model.model_selection import load
from model.registry import Registry, newest_promoted


class Ready(Protocol):
    """A model that is not tuned by the evaluation."""

    @property
    def name(self) -> str: ...

    @property
    def states_probabilities(self) -> bool:
        """Whether a strength is meant as a probability."""

    def as_of(self, known: Known, cut: date) -> Ranker | None:
        """Return what it was at the end of `cut`, None where there was none yet."""


@dataclass(frozen=True)
class ReadyCounts:
    """counts-1, fitted as of the cut as every night does it."""

    name: str = COUNTS
    states_probabilities: bool = True

    def as_of(self, known: Known, cut: date) -> Ranker:
        counts = fit_history(known[cut], cut)
        return AffinityRanker(counts.fitted.affinity_P, counts.popularity, counts.end)


@dataclass(frozen=True, eq=False)
class ReadyVersions:
    """The champion: at each cut the newest version promoted by then, of any kind, and what was popular that day."""

    name: str
    kept_of_cut: dict[date, Kept]
    states_probabilities: bool = True

    def as_of(self, known: Known, cut: date) -> Ranker | None:
        if cut not in self.kept_of_cut:
            return None
        return self.kept_of_cut[cut].ranker(fit_history(known[cut], cut))


def champion(registry: Registry, cuts: Sequence[date]) -> ReadyVersions | None:
    """Return the champion as it was at the newest of `cuts` and at those before; None where there was none yet.

    Raises InputError as `load` does.
    """
    versions = registry.versions()
    promoted = {cut: newest_promoted(versions, cut) for cut in cuts}
    newest = promoted[max(cuts)]
    if newest is None:
        return None
    kept = {version: load(version, registry) for version in set(promoted.values()) if version}
    return ReadyVersions(f"champion {newest.name}", {cut: kept[one] for cut, one in promoted.items() if one})


Prepare = Callable[[Known, date], Ranker | None]  # what it is at the end of a day; None where it is not yet


@dataclass(frozen=True, eq=False)
class Chosen:
    """An entrant as it goes into the test, and what it said at the validation cut."""

    name: str
    states_probabilities: bool
    settings: Mapping[str, Any]
    prepare: Prepare
    prepare_for_guard: Prepare  # the same way, with less learning where that is dear
    validation: Listing | None  # None where it did not exist yet
    tried: Sequence[Mapping[str, Any]]  # each setting with its nDCG@10 on the validation cut
    seconds: float


class Entrant(Protocol):
    """Somebody to judge."""

    @property
    def name(self) -> str: ...

    def choose(self, lessons: Lessons, validation: Exam) -> Chosen:
        """Return what stands for this entrant in the test. Nothing later than the validation window is looked at."""


@dataclass(frozen=True, eq=False)
class Family:
    """One method with some settings of it, under the name of the family."""

    name: str
    contestants: Sequence[Contestant]

    def __post_init__(self) -> None:
        if not self.contestants:
            raise ValueError(f"the family {self.name} has no contestant: expected one setting at least")

    def choose(self, lessons: Lessons, validation: Exam) -> Chosen:
        """Take the contestant of the highest nDCG@10 at the validation cut, the first of equals."""
        started = time.perf_counter()
        taught = lessons.by(lessons.known, validation.cut)
        best: tuple[float, Contestant, Listing] | None = None
        tried = []
        for contestant in self.contestants:
            listing = ask(contestant.prepare(taught, validation.everybody, validation.moment), validation)
            ndcg = listing.ndcg()
            tried.append({"settings": dict(contestant.settings()), "validation_ndcg_at_10": ndcg})
            if best is None or ndcg > best[0]:
                best = ndcg, contestant, listing
        assert best is not None
        _, chosen, listing = best
        guarded = chosen.for_the_guard() if isinstance(chosen, CostlyContestant) else chosen
        return Chosen(
            name=self.name,
            states_probabilities=chosen.states_probabilities,
            settings=chosen.settings(),
            prepare=lambda known, cut: prepared(chosen, lessons, known, cut),
            prepare_for_guard=lambda known, cut: prepared(guarded, lessons, known, cut),
            validation=listing,
            tried=tried,
            seconds=time.perf_counter() - started,
        )


@dataclass(frozen=True, eq=False)
class AsItIs:
    """A model with nothing to tune."""

    ready: Ready

    @property
    def name(self) -> str:
        return self.ready.name

    def choose(self, lessons: Lessons, validation: Exam) -> Chosen:
        started = time.perf_counter()
        ranker = self.ready.as_of(lessons.known, validation.cut)
        listing = ask(ranker, validation) if ranker else None
        return Chosen(
            name=self.ready.name,
            states_probabilities=self.ready.states_probabilities,
            settings={},
            prepare=self.ready.as_of,
            prepare_for_guard=self.ready.as_of,
            validation=listing,
            tried=(),
            seconds=time.perf_counter() - started,
        )


def prepared(contestant: Contestant, lessons: Lessons, known: Known, cut: date) -> Ranker:
    """Return the contestant at the end of `cut`, taught by the windows that ended by then."""
    return contestant.prepare(lessons.by(known, cut), known_at(known, cut), end_of_day(cut))


def entrants(families: Mapping[str, Sequence[Contestant]], ready: Sequence[Ready]) -> list[Entrant]:
    return [*(AsItIs(one) for one in ready), *(Family(name, settings) for name, settings in families.items())]
