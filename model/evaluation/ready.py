"""Models that come as they are, with nothing to tune here: counts-1, and the champion of the registry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from model.choice import load
from model.counts.fit import fit_history
from model.counts.parameters import VERSION as COUNTS
from model.evaluation.affinity_ranker import AffinityRanker
from model.evaluation.contestant import Ranker
from model.evaluation.known import Known
from model.kept import Kept
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
