"""Who takes part: families that are tuned on the validation cut, and models that come as they are."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from model.days import end_of_day
from model.evaluation.contestant import Contestant, CostlyContestant, Ranker
from model.evaluation.exam import Exam, known_at
from model.evaluation.known import Known, Lessons
from model.evaluation.listing import Listing, ask
from model.evaluation.ready import Ready

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
