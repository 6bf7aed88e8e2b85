"""counts-1 as of one day: the fitted parameters and what was popular. Shape letters: see model/scorer.py; P pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.arrays import Floats, Texts
from model.counts.evidence import is_new_P, strongest_sessions
from model.counts.features import affinity_features_PF, count, return_features_UF
from model.counts.pairs import OwnTags, Pairs, candidates, own_tags
from model.counts.parameters import VERSION, Counts1Parameters
from model.counts.popularity import Popularity
from model.counts.top_items import top_items
from model.days import DAYS_AHEAD, MICROS_PER_DAY
from model.history import History
from model.ranking import top
from model.scorer import INTERESTS_PER_USER, Scores


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
        known = history.before(self.end).with_vocabulary(_union(history.tag_T, self.popularity.tag_T))
        share_T = self.popularity.share_of(known.tag_T)
        popular_tags = np.searchsorted(known.tag_T, self.popularity.popular_tags())
        own = own_tags(known)
        pairs = candidates(own, known.users, popular_tags)
        affinity_P = self._affinity_P(known, own, pairs, self.end, share_T)
        chosen_R = top(INTERESTS_PER_USER, pairs.user_P, affinity_P, pairs.tag_P)
        user_R, tag_R, affinity_R = pairs.user_P[chosen_R], pairs.tag_P[chosen_R], affinity_P[chosen_R]
        earlier_P = self._earlier_affinity_P(known, pairs, share_T, unless_known_P=affinity_P)
        evidence_count_R, session_V = strongest_sessions(
            known, own, pairs, chosen_R, self.end, self.fitted.half_life_days
        )
        user_K, item_K, score_K = top_items(
            known, user_R, tag_R, affinity_R, self.popularity, self.end, self.fitted.half_life_days
        )
        return Scores(
            user_R=user_R,
            tag_R=known.tag_T[tag_R],
            affinity_R=affinity_R,
            trend_R=affinity_R - earlier_P[chosen_R],
            is_new_R=is_new_P(known, own, pairs, self._week_before)[chosen_R],
            evidence_count_R=evidence_count_R,
            session_id_V=known.session_id_S[session_V],
            user_K=user_K,
            item_K=item_K,
            score_K=score_K,
            return_probability_U=self._return_probability_U(known),
            embedding_UD=np.empty((known.users, 0), np.float32),
        )

    @property
    def _week_before(self) -> int:
        return self.end - DAYS_AHEAD * MICROS_PER_DAY

    def _affinity_P(self, history: History, own: OwnTags, pairs: Pairs, moment: int, share_T: Floats) -> Floats:
        counts = count(history, own, pairs, moment, self.fitted.half_life_days)
        features_PF = affinity_features_PF(counts, pairs, share_T)
        return self.fitted.calibration.apply(self.fitted.affinity.probability_N(features_PF))

    def _earlier_affinity_P(self, history: History, pairs: Pairs, share_T: Floats, unless_known_P: Floats) -> Floats:
        """Return the affinities of the same history cut a week before; `unless_known_P` for users who had none then.

        By the popularity of today, so that a trend tells of the user and not of the crowd.
        """
        past = history.before(self._week_before)
        earlier_P = self._affinity_P(past, own_tags(past), pairs, self._week_before, share_T)
        was_known_P = (past.event_counts_U() > 0)[pairs.user_P]
        return np.where(was_known_P, earlier_P, unless_known_P)

    def _return_probability_U(self, history: History) -> Floats:
        nothing = Pairs(np.empty(0, np.int64), len(history.tag_T))
        counts = count(history, own_tags(history), nothing, self.end, self.fitted.half_life_days)
        return self.fitted.returning.probability_N(return_features_UF(history, counts))


def _union(some_T: Texts, others_T: Texts) -> Texts:
    return np.union1d(some_T, others_T)
