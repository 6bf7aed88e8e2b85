"""counts-1 as of one day: the fitted parameters and what was popular. Shape letters: see model/scorer.py; P pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.counts.parameters import VERSION, Counts1Parameters
from model.counts.popularity import Popularity
from model.counts.scores import scores_by
from model.history import History
from model.scorer import Scores


@dataclass(frozen=True, eq=False)
class Counts1:
    """A Scorer. Events at `end` or later do not exist for it."""

    end: int  # moment at which the as-of day is over
    fitted: Counts1Parameters
    popularity: Popularity

    @property
    def version(self) -> str:
        return VERSION

    def parameters(self) -> Mapping[str, Any]:
        return self.fitted.as_json()

    def score(self, history: History) -> Scores:
        """Return the scores of every user; a user with no events gets what is popular."""
        fitted = self.fitted
        return scores_by(fitted.affinity_P, history, self.end, self.popularity, fitted.half_life_days, fitted.returning)
