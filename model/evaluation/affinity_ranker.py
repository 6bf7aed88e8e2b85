"""A model of candidate pairs before the referee. Shape letters: U users, P pairs of user and tag, T tags."""

from dataclasses import dataclass

import numpy as np

from model.arrays import Floats
from model.baselines.vocabulary import candidates_of
from model.counts.popularity import Popularity
from model.counts.scores import AffinityOfPairs
from model.history import History

# A tag that is no candidate is never published. It stands below all candidates, by popularity, at next to nothing.
NEXT_TO_NOTHING = 1e-9


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
