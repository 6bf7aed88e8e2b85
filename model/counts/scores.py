"""From an affinity of pairs to everything a profile tells: the part that models which rank pairs have in common.

Shape letters: see model/scorer.py; P pairs of user and tag, T tags, U users.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.arrays import Floats, Ints, Texts
from model.counts.evidence import is_new_P, strongest_sessions
from model.counts.features import count, return_features_UF
from model.counts.logistic import LogisticFormula
from model.counts.pairs import OwnTags, Pairs, candidates, own_tags
from model.counts.popularity import Popularity
from model.counts.top_items import top_items
from model.days import DAYS_AHEAD, MICROS_PER_DAY
from model.history import History
from model.ranking import top
from model.scorer import INTERESTS_PER_USER, Scores


class AffinityOfPairs(Protocol):
    """How sure a model is of each pair; what it says of one user does not depend on the others."""

    def __call__(self, history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int) -> Floats:
        """Return a probability for each of `pairs`; `own` is that of `history`, all of it before `moment`."""


def scores_by(
    affinity_of: AffinityOfPairs,
    history: History,
    end: int,
    crowd: Popularity,
    half_life_days: float,
    returning: LogisticFormula,
) -> Scores:
    """Return the scores of every user; a user with no events gets what is popular. Nothing from `end` on exists.

    half_life_days: of the evidence, the items and the return features.
    """
    vocabulary_T = np.union1d(history.tag_T, crowd.tag_T)
    known = history.before(end).with_vocabulary(vocabulary_T)
    share_T = crowd.share_of(vocabulary_T)

    own = own_tags(known)
    pairs = candidates(own, known.users, np.searchsorted(vocabulary_T, crowd.popular_tags()))
    affinity_P = affinity_of(known, own, pairs, share_T, end)
    week_before = end - DAYS_AHEAD * MICROS_PER_DAY
    trend_P = _trend_P(affinity_of, known.before(week_before), pairs, share_T, week_before, affinity_P)

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
        crowd,
        half_life_days,
        return_probability_U=return_probability_U(known, end, half_life_days, returning),
        embedding_UD=np.empty((known.users, 0), np.float32),
    )


@dataclass(frozen=True, eq=False)
class Published:
    """The interests of some users, a user's together, strongest first."""

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
    crowd: Popularity,
    half_life_days: float,
    return_probability_U: Floats,
    embedding_UD: NDArray[np.float32],
) -> Scores:
    """Add to the interests what does not depend on the model: names, which tags are new, items.

    known: nothing in it lies at `end` or after; its vocabulary has every tag of `crowd`.
    """
    user_R, tag_R, affinity_R = published.user_R, published.tag_R, published.affinity_R
    chosen = Pairs(user_R * len(known.tag_T) + tag_R, len(known.tag_T))
    user_K, item_K, score_K = top_items(known, user_R, tag_R, affinity_R, crowd, end, half_life_days)
    return Scores(
        user_R=user_R,
        tag_R=known.tag_T[tag_R],
        affinity_R=affinity_R,
        trend_R=published.trend_R,
        is_new_R=is_new_P(known, own_tags(known), chosen, end - DAYS_AHEAD * MICROS_PER_DAY),
        evidence_count_R=published.evidence_count_R,
        session_id_V=published.session_id_V,
        user_K=user_K,
        item_K=item_K,
        score_K=score_K,
        return_probability_U=return_probability_U,
        embedding_UD=embedding_UD,
    )


def return_probability_U(known: History, end: int, half_life_days: float, returning: LogisticFormula) -> Floats:
    """Return what counts-1 says of who comes back; nothing in `known` lies at `end` or after."""
    own = own_tags(known)
    return returning.probability_N(return_features_UF(known, count(known, own, own.pairs, end, half_life_days)))


def _trend_P(
    affinity_of: AffinityOfPairs, past: History, pairs: Pairs, share_T: Floats, moment: int, affinity_P: Floats
) -> Floats:
    """Return the affinities less those of the same history cut a week before; 0 for users who had none then.

    Both by the popularity of today, so that a trend tells of the user and not of the crowd.
    """
    was_known_P = (past.event_counts_U() > 0)[pairs.user_P]
    return np.where(was_known_P, affinity_P - affinity_of(past, own_tags(past), pairs, share_T, moment), 0.0)
