"""What to show next. Shape letters: U users, T tags, I items, R interests, K top items, E events."""

import numpy as np
from scipy import sparse

from model.arrays import Floats, Ints
from model.counts.decay import decayed_weight_E
from model.counts.popularity import Popularity
from model.history import NO_ITEM, History
from model.ranking import top
from model.scorer import ITEMS_PER_USER


def top_items(
    history: History,
    user_R: Ints,
    tag_R: Ints,
    affinity_R: Floats,
    popularity: Popularity,
    moment: int,
    half_life_days: float,
) -> tuple[Ints, Ints, Floats]:
    """Return user, item and score of the best items of each user, user after user, best first.

    score = log(1 + own decayed count of the item) + sum over interest tags of affinity x the item's share in the tag

    tag_R: codes of the history's vocabulary, which has every tag of `popularity`.
    """
    tag_K = np.searchsorted(history.tag_T, popularity.tag_T)[popularity.tag_K]
    has_item_E = history.item_E != NO_ITEM
    own_items = history.item_E[has_item_E]
    item_I, code = np.unique(np.concatenate([own_items, popularity.item_K]), return_inverse=True)
    own_code, popular_code = code[: len(own_items)], code[len(own_items) :]

    weight = decayed_weight_E(history, moment, half_life_days)[has_item_E]
    own_UI = sparse.csr_array((weight, (history.user_E[has_item_E], own_code)), shape=(history.users, len(item_I)))
    affinity_UT = sparse.csr_array((affinity_R, (user_R, tag_R)), shape=(history.users, len(history.tag_T)))
    share_TI = sparse.csr_array((popularity.share_K, (tag_K, popular_code)), shape=(len(history.tag_T), len(item_I)))
    score_UI = (own_UI.log1p() + affinity_UT @ share_TI).tocoo()

    user, item, score = score_UI.row.astype(np.int64), item_I[score_UI.col], score_UI.data
    chosen_K = top(ITEMS_PER_USER, user, score, item)
    return user[chosen_K], item[chosen_K], score[chosen_K]
