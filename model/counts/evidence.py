"""Why a tag: the sessions that speak for it.

Shape letters: P pairs of user and tag, R chosen pairs, V evidence, M touches.
"""

import numpy as np

from model.arrays import Bools, Ints, summed
from model.counts.decay import decayed_weight_E
from model.counts.pairs import OwnTags, Pairs
from model.history import History
from model.ranking import top
from model.scorer import EVIDENCE_PER_INTEREST


def strongest_sessions(
    history: History, own: OwnTags, pairs: Pairs, chosen_R: Ints, moment: int, half_life_days: float
) -> tuple[Ints, Ints]:
    """Return the number of sessions for each chosen pair, and the sessions themselves, strongest first.

    A session's strength is its decayed weight on the tag, the later session first among equals; a pair without
    touches has none.

    chosen_R: indices into `pairs`, in the order wanted.
    """
    place_P = np.full(len(pairs), -1)
    place_P[chosen_R] = np.arange(len(chosen_R))
    at_own, _ = pairs.find(own.pairs)  # every own pair is a candidate
    interest_M = place_P[at_own[own.pair_M]] if len(pairs) else np.empty(0, np.int64)
    is_chosen_M = interest_M >= 0
    event_M = history.event_M[is_chosen_M]
    sessions = len(history.session_id_S) + 1
    cell, cell_M = np.unique(interest_M[is_chosen_M] * sessions + history.session_E[event_M], return_inverse=True)
    strength = summed(decayed_weight_E(history, moment, half_life_days)[event_M], cell_M, len(cell))
    interest, session = cell // sessions, cell % sessions
    chosen_V = top(EVIDENCE_PER_INTEREST, interest, strength, -session)
    return np.bincount(interest[chosen_V], minlength=len(chosen_R)), session[chosen_V]


def is_new_P(history: History, own: OwnTags, pairs: Pairs, since: int) -> Bools:
    """Return whether the first listed touch of the pair lies at `since` or later; False for a pair never touched.

    pairs: in any order.
    """
    first_at = np.full(len(own.pairs), np.iinfo(np.int64).max)
    np.minimum.at(first_at, own.pair_M, history.at_E[history.event_M])
    at_P, is_own_P = own.pairs.find(pairs)
    if not len(own.pairs):
        return is_own_P
    return is_own_P & (first_at[at_P] >= since)
