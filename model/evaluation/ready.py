"""Models that come as they are, with nothing to tune here: counts-1, and the champion of the registry.

Shape letters: U users, P pairs of user and tag, T tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np

from model.arrays import Floats
from model.baselines.vocabulary import candidates_of
from model.boosting.forest import Forest
from model.choice import forest_of
from model.counts.fit import fit_history
from model.counts.parameters import VERSION as COUNTS
from model.counts.popularity import Popularity
from model.counts.scores import AffinityOfPairs
from model.evaluation.contestant import Ranker
from model.evaluation.known import Known
from model.history import History
from model.registry import Registry, Version, newest_promoted

# A tag that is no candidate is never published. It stands below all candidates, by popularity, at next to nothing.
NEXT_TO_NOTHING = 1e-9


class Ready(Protocol):
    """A model that is not tuned by the evaluation."""

    @property
    def name(self) -> str: ...

    @property
    def states_probabilities(self) -> bool:
        """Whether a strength is meant as a probability."""

    def as_of(self, known: Known, cut: date) -> Ranker | None:
        """Return what it was at the end of `cut`, None where there was none yet."""


@dataclass(frozen=True, eq=False)
class AffinityRanker:
    """A Ranker from what a model that publishes profiles says of its candidate pairs."""

    affinity_of: AffinityOfPairs
    crowd: Popularity
    end: int  # moment

    def strength_UT(self, past: History) -> Floats:
        """Return the affinity of own and popular tags, and next to nothing for the others."""
        asked = candidates_of(past.before(self.end), self.crowd)
        affinity_P = self.affinity_of(asked.past, asked.own, asked.pairs, asked.share_T, self.end)
        strength_UT = np.tile(NEXT_TO_NOTHING * asked.share_T, (past.users, 1))
        strength_UT[asked.pairs.user_P, asked.pairs.tag_P] = affinity_P
        return strength_UT[:, asked.is_asked_T]


@dataclass(frozen=True)
class ReadyCounts:
    """counts-1, fitted as of the cut as every night does it."""

    name: str = COUNTS
    states_probabilities: bool = True

    def as_of(self, known: Known, cut: date) -> Ranker:
        counts = fit_history(known[cut], cut)
        return AffinityRanker(counts.fitted.affinity_P, counts.popularity, counts.end)


@dataclass(frozen=True, eq=False)
class ReadyForests:
    """The champion: at each cut the newest version promoted by then, and what was popular that day."""

    name: str
    version_of_cut: dict[date, tuple[Version, Forest]]
    states_probabilities: bool = True

    def as_of(self, known: Known, cut: date) -> Ranker | None:
        if cut not in self.version_of_cut:
            return None
        counts = fit_history(known[cut], cut)
        return AffinityRanker(self.version_of_cut[cut][1], counts.popularity, counts.end)


def champion(registry: Registry, cuts: Sequence[date]) -> ReadyForests | None:
    """Return the champion as it was at the newest of `cuts` and at those before; None where there was none yet.

    Raises InputError as `forest_of` does.
    """
    versions = registry.versions()
    promoted = {cut: newest_promoted(versions, cut) for cut in cuts}
    newest = promoted[max(cuts)]
    if newest is None:
        return None
    loaded = {cut: (version, forest_of(version, registry)) for cut, version in promoted.items() if version}
    return ReadyForests(f"champion {newest.name}", loaded)
