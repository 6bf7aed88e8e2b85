"""boosting-1 as of one day: affinities from the forest, all else from counts-1 of that day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.boosting.forest import Forest
from model.counts.counts1 import Counts1
from model.counts.scores import scores_by
from model.history import History
from model.scorer import Scores

KIND = "boosting-1"


@dataclass(frozen=True, eq=False)
class Boosting1:
    """A Scorer. Events at the end of the as-of day or later do not exist for it."""

    version: str
    forest: Forest
    counts: Counts1

    def parameters(self) -> Mapping[str, Any]:
        return {"trees": len(self.forest.trees.root_K), "counts-1": self.counts.parameters()}

    def score(self, history: History) -> Scores:
        """Return the scores of every user; evidence, items and the return are those of counts-1."""
        counts, fitted = self.counts, self.counts.fitted
        return scores_by(self.forest, history, counts.end, counts.popularity, fitted.half_life_days, fitted.returning)
