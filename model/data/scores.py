"""What a model returns for the users of a history.

Shape letters: U users, R interests (a user's together, by rank), V evidence (an interest's together, highest weight
first), K top items (a user's together, best first), D dimensions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.arrays import Bools, Floats, Ints, Texts

INTERESTS_PER_USER = 10
ITEMS_PER_USER = 10
EVIDENCE_PER_INTEREST = 3


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of the users of a History, in their order."""

    user_R: Ints
    tag_R: Texts
    affinity_R: Floats  # probability, 0 to 1
    trend_R: Floats  # affinity less that of the same history a horizon before
    is_new_R: Bools
    evidence_count_R: Ints
    session_id_V: Texts
    user_K: Ints
    item_K: Ints
    score_K: Floats  # probability by items-1, else for ranking within the user only
    return_probability_U: Floats
    embedding_UD: NDArray[np.float32]  # D = 0 where the model has none
