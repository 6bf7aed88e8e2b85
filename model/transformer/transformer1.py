"""transformer-1 as of one day: interests by the Transformer, what is popular and all that it lacks by counts-1.

Shape letters: see model/scorer.py; B users of a piece, I interests of a user, T tags, W users with an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.arrays import Bools, Floats, Ints, Texts
from model.counts.counts1 import Counts1
from model.counts.evidence import strongest_sessions
from model.counts.pairs import Pairs, own_tags
from model.counts.scores import return_probability_U, scores_of
from model.days import DAYS_AHEAD, MICROS_PER_DAY
from model.history import History
from model.scorer import Scores
from model.transformer.anchored import Anchored, Told, pieces
from model.transformer.evidence import attended_sessions_BIV
from model.transformer.interest_model import InterestModel
from model.transformer.machine import scoring_threads
from model.transformer.table import NO_TAG, InterestTable, of_tags_UI, strongest_UI


@dataclass(frozen=True, eq=False)
class ToldOfPiece:
    """What is kept of a piece; what the networks needed for it is let go of."""

    user_B: Ints
    interests: InterestTable
    user_W: Ints  # of the piece
    embedding_WD: NDArray[np.float32]
    return_log_odds_W: Floats


@dataclass(frozen=True, eq=False)
class Transformer1:
    """A Scorer. Events at the end of the as-of day or later do not exist for it."""

    version: str
    model: InterestModel
    counts: Counts1

    def parameters(self) -> Mapping[str, Any]:
        return {**self.model.facts, "counts-1": self.counts.parameters()}

    def score(self, history: History) -> Scores:
        """Return the scores of every user.

        Affinities are calibrated means of the networks over every tag of the vocabulary. A tag that came up after the
        training is told by counts-1, and so is a user without events: what is popular, without evidence, with an
        embedding of zeros. Trend, as counts-1 has it: by the popularity of today, 0 for users without events a week
        before. Evidence: see `attended_sessions_BIV`. Items are those of counts-1 by these affinities.
        """
        counts, model = self.counts, self.model
        end, crowd, half_life_days = counts.end, counts.popularity, counts.fitted.half_life_days
        vocabulary_T = reduce(np.union1d, (history.tag_T, crowd.tag_T, model.vocabulary.tags))
        known = history.before(end).with_vocabulary(vocabulary_T)
        now = Anchored.at(model, counts, end)
        then = Anchored.at(model, counts, end - DAYS_AHEAD * MICROS_PER_DAY)
        table = InterestTable.empty(known.users)
        returning_U = return_probability_U(known, end, half_life_days, counts.fitted.returning)
        embedding_UD = np.zeros((known.users, model.size.width), np.float32)
        with scoring_threads() as threads:
            for told in threads.map(partial(self._told_of, now, then), pieces(known)):
                table.put(told.user_B, told.interests)
                self._put_users(told, returning_U, embedding_UD)
        return scores_of(table.published(), known, end, crowd, half_life_days, returning_U, embedding_UD)

    def _told_of(self, now: Anchored, then: Anchored, piece: tuple[Ints, History]) -> ToldOfPiece:
        user_B, some = piece
        of_counts = now.pairs_of_counts(some)
        told = now.tell(some, of_counts)
        tag_BI = strongest_UI(told.affinity_UT)
        affinity_BI = of_tags_UI(told.affinity_UT, tag_BI)
        trend_BI = self._trend_BI(then, some, of_counts, tag_BI, affinity_BI)
        evidence_BIV = self._evidence_BIV(told, some, of_counts, tag_BI)
        reading = told.reading
        return ToldOfPiece(
            user_B,
            InterestTable(tag_BI, affinity_BI, trend_BI, evidence_BIV),
            told.user_W,
            reading.embedding_WD() if reading else np.zeros((0, self.model.size.width), np.float32),
            reading.return_log_odds_W() if reading else np.zeros(0),
        )

    def _trend_BI(self, then: Anchored, some: History, of_counts: Pairs, tag_BI: Ints, affinity_BI: Floats) -> Floats:
        past = some.before(then.moment)
        was_known_B1 = past.event_counts_U()[:, None] > 0
        told_BT = then.tell(past, of_counts).affinity_UT
        # Of users unknown then, nothing was told of the tags of the vocabulary.
        before_BI = np.where(was_known_B1, of_tags_UI(told_BT, tag_BI), affinity_BI)
        return affinity_BI - before_BI

    def _evidence_BIV(self, told: Told, some: History, of_counts: Pairs, tag_BI: Ints) -> Texts:
        """Return by the networks where they told of the tag, else by what the user did, as counts-1 has it."""
        told_BIV = InterestTable.empty(some.users).session_id_UIV
        if told.reading:
            place_T = self.model.vocabulary.tag_codes(some.tag_T) - 1
            place_WI = np.where(tag_BI == NO_TAG, NO_TAG, place_T[tag_BI])[told.user_W]
            by_networks_WIV = attended_sessions_BIV(self.model.networks, told.reading, place_WI)
            by_networks_WIV[place_WI == NO_TAG] = None
            told_BIV[told.user_W] = by_networks_WIV
        is_by_counts_BI = self._is_of(of_counts, tag_BI)
        user_R, rank_R = np.nonzero(is_by_counts_BI)
        own = own_tags(some)
        at_R, is_own_R = own.pairs.find(Pairs(user_R * len(some.tag_T) + tag_BI[user_R, rank_R], len(some.tag_T)))
        user_R, rank_R, at_R = user_R[is_own_R], rank_R[is_own_R], at_R[is_own_R]
        end, half_life_days = self.counts.end, self.counts.fitted.half_life_days
        count_R, session_V = strongest_sessions(some, own, own.pairs, at_R, end, half_life_days)
        place_V = np.arange(len(session_V)) - np.repeat(np.cumsum(count_R) - count_R, count_R)
        told_BIV[np.repeat(user_R, count_R), np.repeat(rank_R, count_R), place_V] = some.session_id_S[session_V]
        return told_BIV

    def _is_of(self, pairs: Pairs, tag_BI: Ints) -> Bools:
        user_B1 = np.arange(len(tag_BI))[:, None]
        return np.asarray((tag_BI != NO_TAG) & np.isin(user_B1 * pairs.tags + tag_BI, pairs.key_P))

    def _put_users(self, told: ToldOfPiece, returning_U: Floats, embedding_UD: NDArray[np.float32]) -> None:
        user_W, by_networks = told.user_B[told.user_W], self.model.calibrations.returning
        embedding_UD[user_W] = told.embedding_WD
        if by_networks:
            returning_U[user_W] = by_networks.probability_N(told.return_log_odds_W[:, None])
