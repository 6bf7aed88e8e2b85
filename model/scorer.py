"""What a model gives and what it is asked: the interface through which every model writes profiles.

Shape letters: U users, R interests (a user's together, by rank), V evidence (an interest's together, strongest first),
K top items (a user's together, best first), D dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.arrays import Bools, Floats, Ints, Texts
from model.history import History

INTERESTS_PER_USER = 10
ITEMS_PER_USER = 10
EVIDENCE_PER_INTEREST = 3


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model says of the users of a History, in their order."""

    user_R: Ints
    tag_R: Texts
    affinity_R: Floats  # probability, 0 to 1
    trend_R: Floats  # affinity less that of the same history cut 7 days before
    is_new_R: Bools
    evidence_count_R: Ints
    session_id_V: Texts
    user_K: Ints
    item_K: Ints
    score_K: Floats  # for ranking within the user only
    return_probability_U: Floats
    embedding_UD: NDArray[np.float32]  # D = 0 where the model has none


class Scorer(Protocol):
    """A model as of one day: it knows nothing of later days."""

    @property
    def version(self) -> str:
        """Name of the model, the `model_version` of its rows."""

    def parameters(self) -> Mapping[str, Any]:
        """Return what was fitted and how well, as JSON, for the manifest."""

    def score(self, history: History) -> Scores:
        """Return the scores of every user; those of one user do not depend on who else is in `history`."""


# Gives the model of a day from the newest row of every user known by then.
ScorerAsOf = Callable[[pa.Table, date], Scorer]
