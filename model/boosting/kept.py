"""boosting-1 as it is kept in the registry."""

from dataclasses import dataclass
from pathlib import Path

from model.boosting.artifact import read_forest, write_forest
from model.boosting.boosting1 import KIND, Boosting1
from model.boosting.forest import Forest
from model.counts.counts1 import Counts1
from model.evaluation.affinity_ranker import AffinityRanker


@dataclass(frozen=True, eq=False)
class KeptForest:
    """A Kept."""

    forest: Forest
    kind: str = KIND

    @classmethod
    def read(cls, folder: Path) -> "KeptForest":
        """Raises InputError as `read_forest` does."""
        return cls(read_forest(folder))

    def scorer(self, version: str, counts: Counts1) -> Boosting1:
        return Boosting1(version, self.forest, counts)

    def ranker(self, counts: Counts1) -> AffinityRanker:
        return AffinityRanker(self.forest, counts.popularity, counts.end)

    def write(self, folder: Path) -> None:
        write_forest(self.forest, folder)
