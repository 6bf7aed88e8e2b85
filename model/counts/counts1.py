"""counts-1 as of one day: the fitted parameters and what was popular. Shape letters: see model/scorer.py; P pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.arrays import Floats
from model.counts.evidence import is_new_P, strongest_sessions
from model.counts.features import Counts, affinity_features_PF, count, return_features_UF
from model.counts.pairs import Pairs, candidates, own_tags
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
        vocabulary_T = np.union1d(history.tag_T, self.popularity.tag_T)
        known = history.before(self.end).with_vocabulary(vocabulary_T)
        share_T = self.popularity.share_of(vocabulary_T)
        half_life_days = self.fitted.half_life_days

        own = own_tags(known)
        popular_tags = np.searchsorted(vocabulary_T, self.popularity.popular_tags())
        pairs = candidates(own, known.users, popular_tags)
        counts = count(known, own, pairs, self.end, half_life_days)
        affinity_P = self._affinity_P(counts, pairs, share_T)
        trend_P = self._trend_P(known, pairs, share_T, affinity_P)

        chosen_R = top(INTERESTS_PER_USER, pairs.user_P, affinity_P, pairs.tag_P)
        user_R, tag_R, affinity_R = pairs.user_P[chosen_R], pairs.tag_P[chosen_R], affinity_P[chosen_R]
        evidence_count_R, session_V = strongest_sessions(known, own, pairs, chosen_R, self.end, half_life_days)
        user_K, item_K, score_K = top_items(known, user_R, tag_R, affinity_R, self.popularity, self.end, half_life_days)
        return Scores(
            user_R=user_R,
            tag_R=vocabulary_T[tag_R],
            affinity_R=affinity_R,
            trend_R=trend_P[chosen_R],
            is_new_R=is_new_P(known, own, pairs, self._week_before)[chosen_R],
            evidence_count_R=evidence_count_R,
            session_id_V=known.session_id_S[session_V],
            user_K=user_K,
            item_K=item_K,
            score_K=score_K,
            return_probability_U=self.fitted.returning.probability_N(return_features_UF(known, counts)),
            embedding_UD=np.empty((known.users, 0), np.float32),
        )

    @property
    def _week_before(self) -> int:
        return self.end - DAYS_AHEAD * MICROS_PER_DAY

    def _affinity_P(self, counts: Counts, pairs: Pairs, share_T: Floats) -> Floats:
        return self.fitted.calibration.apply(
            self.fitted.affinity.probability_N(affinity_features_PF(counts, pairs, share_T))
        )

    def _trend_P(self, known: History, pairs: Pairs, share_T: Floats, affinity_P: Floats) -> Floats:
        """Return the affinities less those of the same history cut a week before; 0 for users who had none then.

        Both by the popularity of today, so that a trend tells of the user and not of the crowd.
        """
        past = known.before(self._week_before)
        counts = count(past, own_tags(past), pairs, self._week_before, self.fitted.half_life_days)
        was_known_P = (past.event_counts_U() > 0)[pairs.user_P]
        return np.where(was_known_P, affinity_P - self._affinity_P(counts, pairs, share_T), 0.0)
