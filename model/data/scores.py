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
# Why an item is among the top items of a user.
REPEAT = "repeat"  # the user has an event with it
INTEREST = "interest"  # it is popular among the users of one of the user's interests
FOLLOWED = "followed"  # it occurs in similar sessions, together with an item of the user's newest sessions
POPULAR = "popular"  # it is popular, or an interest is that is estimated from popularity


@dataclass(frozen=True, eq=False)
class Reasons:
    """The reason of each top item."""

    kind_K: Texts
    tag_K: Texts  # of INTEREST, else None
    item_K: Ints  # the user's item of FOLLOWED, else NO_ITEM


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
    reasons: Reasons
    return_probability_U: Floats
    embedding_UD: NDArray[np.float32]  # D = 0 where the model has none
