"""transformer-1 as it is kept in the registry, and before the referee. Shape letters: U users, T tags, B of a piece."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from model.arrays import Floats
from model.counts.counts1 import Counts1
from model.evaluation.affinity_ranker import NEXT_TO_NOTHING
from model.history import History
from model.transformer.anchored import Anchored, pieces
from model.transformer.artifact import read_model, write_model
from model.transformer.interest_model import KIND, InterestModel
from model.transformer.transformer1 import Transformer1


@dataclass(frozen=True, eq=False)
class AnchoredRanker:
    """A Ranker from the affinities that transformer-1 publishes."""

    anchored: Anchored

    def strength_UT(self, past: History) -> Floats:
        """Return the affinity of each tag, next to nothing by popularity for one of which nothing is told."""
        crowd, tag_V = self.anchored.counts.popularity, self.anchored.model.vocabulary.tags
        vocabulary_T = reduce(np.union1d, (past.tag_T, crowd.tag_T, tag_V))
        known = past.before(self.anchored.moment).with_vocabulary(vocabulary_T)
        is_asked_T = np.isin(vocabulary_T.astype(str), past.tag_T.astype(str))
        strength_UT = np.tile(NEXT_TO_NOTHING * crowd.share_of(vocabulary_T)[is_asked_T], (past.users, 1))
        for user_B, some in pieces(known):
            told_BT = self.anchored.tell(some, self.anchored.pairs_of_counts(some)).affinity_UT[:, is_asked_T]
            strength_UT[user_B] = np.where(np.isfinite(told_BT), told_BT, strength_UT[user_B])
        return strength_UT


@dataclass(frozen=True, eq=False)
class KeptTransformer:
    """A Kept."""

    model: InterestModel
    kind: str = KIND

    @classmethod
    def read(cls, folder: Path) -> "KeptTransformer":
        """Raises InputError as `read_model` does."""
        return cls(read_model(folder))

    def scorer(self, version: str, counts: Counts1) -> Transformer1:
        return Transformer1(version, self.model, counts)

    def ranker(self, counts: Counts1) -> AnchoredRanker:
        return AnchoredRanker(Anchored.at(self.model, counts, counts.end))

    def write(self, folder: Path) -> None:
        write_model(self.model, folder)
