"""From affinities of pairs to the scores of a profile, for all models that score pairs.

A profile has its interests with trend and evidence, its top items and its return probability.

Shape letters: U users, P pairs of user and tag, R interests (a user's together, by rank), V evidence (an interest's
together, highest weight first), T tags, I items, K top items (a user's together, best first), E events, M touches,
D dimensions.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from model.calibration import LogisticFormula
from model.counts.features import count, return_features_UF
from model.counts.reasons import Interests, reasons_by_formula
from model.data.arrays import Bools, Floats, Ints, Texts, sum_by_group, top
from model.data.days import MICROS_PER_DAY
from model.data.history import NO_ITEM, History, decayed_weight_E
from model.data.pairs import OwnTags, Pairs, candidates, excluded_pairs, own_tags
from model.data.popularity import Popularity
from model.data.scores import EVIDENCE_PER_INTEREST, INTERESTS_PER_USER, ITEMS_PER_USER, Scores


def strongest_sessions(
    history: History, own: OwnTags, pairs: Pairs, chosen_R: Ints, moment: int, half_life_days: float
) -> tuple[Ints, Ints]:
    """Return the number of evidence sessions of each chosen pair, and these sessions, highest weight first.

    The weight of a session is its decayed weight on the tag; the later session is first among equals. A pair without
    touches has no evidence.

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
    weight = sum_by_group(decayed_weight_E(history, moment, half_life_days)[event_M], cell_M, len(cell))
    interest, session = cell // sessions, cell % sessions
    chosen_V = top(EVIDENCE_PER_INTEREST, interest, weight, -session)
    return np.bincount(interest[chosen_V], minlength=len(chosen_R)), session[chosen_V]


def is_new_P(history: History, own: OwnTags, pairs: Pairs, since: int) -> Bools:
    """Return whether the first touch of the pair in the history is at `since` or later; False without a touch.

    pairs: in any order.
    """
    first_at = np.full(len(own.pairs), np.iinfo(np.int64).max)
    np.minimum.at(first_at, own.pair_M, history.at_E[history.event_M])
    at_P, is_own_P = own.pairs.find(pairs)
    if not len(own.pairs):
        return is_own_P
    return is_own_P & (first_at[at_P] >= since)


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

    Items that a rule of the source excludes for the user are left out.

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

    cell = score_UI.row.astype(np.int64) * len(item_I) + score_UI.col
    kept = np.flatnonzero(~np.isin(cell, excluded_pairs(history, item_I).key_P))
    user, item, score = score_UI.row[kept].astype(np.int64), item_I[score_UI.col[kept]], score_UI.data[kept]
    chosen_K = top(ITEMS_PER_USER, user, score, item)
    return user[chosen_K], item[chosen_K], score[chosen_K]


class AffinityOfPairs(Protocol):
    """The affinity of pairs by some model. A user's affinities do not depend on the other users."""

    def __call__(self, history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int) -> Floats:
        """Return a probability for each of `pairs`; `own` is that of `history`, all of it before `moment`."""


def scores_by(
    affinity_of: AffinityOfPairs,
    history: History,
    end: int,
    popularity: Popularity,
    half_life_days: float,
    returning: LogisticFormula,
    horizon_days: int,
) -> Scores:
    """Return the scores of every user; a user without events gets popular tags. Events from `end` on are ignored.

    half_life_days: of the evidence, the items and the return features.
    horizon_days: that of `affinity_of` and `returning`; the trend and new tags look back as far.
    """
    vocabulary_T = np.union1d(history.tag_T, popularity.tag_T)
    known = history.before(end).with_vocabulary(vocabulary_T)
    share_T = popularity.share_of(vocabulary_T)

    own = own_tags(known)
    pairs = candidates(own, known.users, np.searchsorted(vocabulary_T, popularity.popular_tags()))
    affinity_P = affinity_of(known, own, pairs, share_T, end)
    since = end - horizon_days * MICROS_PER_DAY
    trend_P = _trend_P(affinity_of, known.before(since), pairs, share_T, since, affinity_P)

    chosen_R = top(INTERESTS_PER_USER, pairs.user_P, affinity_P, pairs.tag_P)
    evidence_count_R, session_V = strongest_sessions(known, own, pairs, chosen_R, end, half_life_days)
    published = Published(
        user_R=pairs.user_P[chosen_R],
        tag_R=pairs.tag_P[chosen_R],
        affinity_R=affinity_P[chosen_R],
        trend_R=trend_P[chosen_R],
        evidence_count_R=evidence_count_R,
        session_id_V=known.session_id_S[session_V],
    )
    return scores_of(
        published,
        known,
        end,
        since,
        popularity,
        half_life_days,
        return_probability_U=return_probability_U(known, end, half_life_days, returning),
        embedding_UD=np.empty((known.users, 0), np.float32),
    )


@dataclass(frozen=True, eq=False)
class Published:
    """The interests of some users, a user's together, highest affinity first."""

    user_R: Ints
    tag_R: Ints
    affinity_R: Floats
    trend_R: Floats
    evidence_count_R: Ints
    session_id_V: Texts


def scores_of(
    published: Published,
    known: History,
    end: int,
    since: int,
    popularity: Popularity,
    half_life_days: float,
    return_probability_U: Floats,
    embedding_UD: NDArray[np.float32],
) -> Scores:
    """Add all that does not depend on the model to the interests: tag names, which tags are new, top items.

    known: all of it before `end`; its vocabulary has every tag of `popularity`.
    since: moment a horizon before `end`; a tag first touched at it or later is new.
    """
    user_R, tag_R, affinity_R = published.user_R, published.tag_R, published.affinity_R
    chosen = Pairs(user_R * len(known.tag_T) + tag_R, len(known.tag_T))
    user_K, item_K, score_K = top_items(known, user_R, tag_R, affinity_R, popularity, end, half_life_days)
    interests = Interests(user_R, known.tag_T[tag_R], affinity_R, published.evidence_count_R > 0)
    return Scores(
        user_R=user_R,
        tag_R=known.tag_T[tag_R],
        affinity_R=affinity_R,
        trend_R=published.trend_R,
        is_new_R=is_new_P(known, own_tags(known), chosen, since),
        evidence_count_R=published.evidence_count_R,
        session_id_V=published.session_id_V,
        user_K=user_K,
        item_K=item_K,
        score_K=score_K,
        reasons=reasons_by_formula(known, user_K, item_K, interests, popularity),
        return_probability_U=return_probability_U,
        embedding_UD=embedding_UD,
    )


def return_probability_U(known: History, end: int, half_life_days: float, returning: LogisticFormula) -> Floats:
    """Return the return probability by counts-1; all of `known` is before `end`."""
    own = own_tags(known)
    return returning.probability_N(return_features_UF(known, count(known, own, own.pairs, end, half_life_days)))


def _trend_P(
    affinity_of: AffinityOfPairs, past: History, pairs: Pairs, share_T: Floats, moment: int, affinity_P: Floats
) -> Floats:
    """Return the affinities minus those of the same history a horizon before; 0 for users without events then.

    Both use the popularity of today, so that a trend shows the user and not all users.
    """
    was_known_P = (past.event_counts_U() > 0)[pairs.user_P]
    return np.where(was_known_P, affinity_P - affinity_of(past, own_tags(past), pairs, share_T, moment), 0.0)
