"""How boosting-1 is grown: what is fixed, and what the validation cut chooses among."""

from dataclasses import asdict, dataclass
from typing import Any

MOST_TREES = 300
PATIENCE = 20  # trees without a lower validation loss before growing stops
MOST_ACTIONS = 8
SEED = 1


@dataclass(frozen=True)
class Recipe:
    """Settings of one forest of boosted trees."""

    learning_rate: float
    leaves: int
    fewest_pairs_in_leaf: int
    penalty: float  # of the squares of leaf values
    trees: int = MOST_TREES

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


RECIPES = (
    Recipe(learning_rate=0.06, leaves=7, fewest_pairs_in_leaf=200, penalty=1.0),
    Recipe(learning_rate=0.06, leaves=15, fewest_pairs_in_leaf=200, penalty=10.0),
    Recipe(learning_rate=0.06, leaves=31, fewest_pairs_in_leaf=100, penalty=10.0),
)
