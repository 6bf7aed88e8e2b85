"""Why a tag, by the Transformer: the sessions that its interests looked at.

Shape letters: B users, I chosen tags, K interests, T tags, L tokens, S sessions of a user, V evidence.

transformer-1 as of one day: interests by the Transformer, what is popular and all that it lacks by counts-1.

Shape letters: see model/interfaces.py; B users of a piece, I interests of a user, T tags, W users with an event.

transformer-1 as it is kept in the registry, and before the referee. Shape letters: U users, T tags, B of a piece.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.counts.candidates import NEGLIGIBLE_SCORE
from model.counts.model import Counts1
from model.counts.publish import return_probability_U, scores_of, strongest_sessions
from model.data.arrays import Bools, Floats, Ints, Texts
from model.data.days import HORIZON_DAYS, MICROS_PER_DAY
from model.data.history import History
from model.data.pairs import Pairs, own_tags
from model.data.scores import EVIDENCE_PER_INTEREST, Scores
from model.transformer.distributed import scoring_threads
from model.transformer.model import KIND, InterestModel, read_model, write_model
from model.transformer.network import InterestTransformer
from model.transformer.predict import (
    NO_TAG,
    AsOfPredictor,
    InterestTable,
    Predictions,
    Reading,
    of_tags_UI,
    session_ids_US,
    strongest_UI,
    user_batches,
)


@torch.no_grad()
def attended_sessions_BIV(networks: Sequence[InterestTransformer], reading: Reading, tag_BI: Ints) -> Texts:
    """Return the sessions that speak for each tag, strongest first; None where there are fewer.

    How strongly a session speaks for a tag is summed over the interests: the part of the tag's probability that is the
    interest's, times what the interest takes from the tokens of the session in the last cross-attention; the mean over
    the networks. So the sessions are the user's own, but a tag that the user never touched has evidence too: what made
    the networks think of it.

    tag_BI: places in the vocabulary; what stands at -1 is void.
    """
    tags = torch.from_numpy(np.maximum(tag_BI, 0)).to(reading.batch.session_BL.device)
    score_BIS = torch.stack(
        [
            score_of_sessions_BIS(
                _responsibility_BIK(answer.interests.log_share_BCK[:, 0], answer.interests.log_tag_BCKT[:, 0], tags),
                network.interests.attention_BCKL(answer.memory_BLD, reading.batch)[:, 0],
                reading.batch.session_BL,
            )
            for network, answer in zip(networks, reading.answers, strict=True)
        ]
    ).mean(0)
    return _strongest_BIV(score_BIS.double().cpu().numpy(), session_ids_US(reading.asked.tokens))


def score_of_sessions_BIS(responsibility_BIK: Tensor, attention_BKL: Tensor, session_BL: Tensor) -> Tensor:
    """Return how strongly each session, oldest first, speaks for each tag: 1 in all, less what no token was given."""
    score_BIL = responsibility_BIK @ attention_BKL
    sessions = int(session_BL.max()) + 1
    score_BIS = score_BIL.new_zeros((*score_BIL.shape[:2], sessions))
    return score_BIS.scatter_add_(2, session_BL[:, None].expand_as(score_BIL), score_BIL)


def _responsibility_BIK(log_share_BK: Tensor, log_tag_BKT: Tensor, tag_BI: Tensor) -> Tensor:
    """Return which part of a tag's probability each interest brings in."""
    log_tag_BKI = log_tag_BKT.gather(2, tag_BI[:, None].expand(-1, log_tag_BKT.shape[1], -1))
    return (log_share_BK[..., None] + log_tag_BKI).softmax(1).transpose(1, 2)


def _strongest_BIV(score_BIS: Floats, id_BS: Texts) -> Texts:
    """Return the names of the strongest sessions that were looked at, of equals the later first."""
    newest_first_BIS = score_BIS[..., ::-1]
    order_BIV = np.argsort(-newest_first_BIS, axis=-1, kind="stable")[..., :EVIDENCE_PER_INTEREST]
    session_BIV = score_BIS.shape[-1] - 1 - order_BIV
    told_BIV = np.full((*score_BIS.shape[:2], EVIDENCE_PER_INTEREST), None, dtype=object)
    session_id_BIV = id_BS[np.arange(len(id_BS))[:, None, None], session_BIV]
    session_id_BIV[np.take_along_axis(score_BIS, session_BIV, axis=-1) <= 0] = None
    told_BIV[..., : session_BIV.shape[-1]] = session_id_BIV
    return told_BIV


@dataclass(frozen=True, eq=False)
class PredictionsOfBatch:
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
        end, popularity, half_life_days = counts.end, counts.popularity, counts.fitted.half_life_days
        vocabulary_T = reduce(np.union1d, (history.tag_T, popularity.tag_T, model.vocabulary.tags))
        known = history.before(end).with_vocabulary(vocabulary_T)
        now = AsOfPredictor.at(model, counts, end)
        then = AsOfPredictor.at(model, counts, end - HORIZON_DAYS * MICROS_PER_DAY)
        table = InterestTable.empty(known.users)
        returning_U = return_probability_U(known, end, half_life_days, counts.fitted.returning)
        embedding_UD = np.zeros((known.users, model.size.width), np.float32)
        with scoring_threads() as threads:
            for told in threads.map(partial(self._told_of, now, then), user_batches(known)):
                table.put(told.user_B, told.interests)
                self._put_users(told, returning_U, embedding_UD)
        return scores_of(table.published(), known, end, popularity, half_life_days, returning_U, embedding_UD)

    def _told_of(self, now: AsOfPredictor, then: AsOfPredictor, piece: tuple[Ints, History]) -> PredictionsOfBatch:
        user_B, some = piece
        of_counts = now.pairs_of_counts(some)
        told = now.tell(some, of_counts)
        tag_BI = strongest_UI(told.affinity_UT)
        affinity_BI = of_tags_UI(told.affinity_UT, tag_BI)
        trend_BI = self._trend_BI(then, some, of_counts, tag_BI, affinity_BI)
        evidence_BIV = self._evidence_BIV(told, some, of_counts, tag_BI)
        reading = told.reading
        return PredictionsOfBatch(
            user_B,
            InterestTable(tag_BI, affinity_BI, trend_BI, evidence_BIV),
            told.user_W,
            reading.embedding_WD() if reading else np.zeros((0, self.model.size.width), np.float32),
            reading.return_log_odds_W() if reading else np.zeros(0),
        )

    def _trend_BI(
        self, then: AsOfPredictor, some: History, of_counts: Pairs, tag_BI: Ints, affinity_BI: Floats
    ) -> Floats:
        past = some.before(then.moment)
        was_known_B1 = past.event_counts_U()[:, None] > 0
        predicted_BT = then.tell(past, of_counts).affinity_UT
        # Of users unknown then, nothing was told of the tags of the vocabulary.
        before_BI = np.where(was_known_B1, of_tags_UI(predicted_BT, tag_BI), affinity_BI)
        return affinity_BI - before_BI

    def _evidence_BIV(self, told: Predictions, some: History, of_counts: Pairs, tag_BI: Ints) -> Texts:
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

    def _put_users(self, told: PredictionsOfBatch, returning_U: Floats, embedding_UD: NDArray[np.float32]) -> None:
        user_W, by_networks = told.user_B[told.user_W], self.model.calibrations.returning
        embedding_UD[user_W] = told.embedding_WD
        if by_networks:
            returning_U[user_W] = by_networks.probability_N(told.return_log_odds_W[:, None])


@dataclass(frozen=True, eq=False)
class AsOfRanker:
    """A Ranker from the affinities that transformer-1 publishes."""

    anchored: AsOfPredictor

    def scores_UT(self, past: History) -> Floats:
        """Return the affinity of each tag, next to nothing by popularity for one of which nothing is told."""
        popularity, tag_V = self.anchored.counts.popularity, self.anchored.model.vocabulary.tags
        vocabulary_T = reduce(np.union1d, (past.tag_T, popularity.tag_T, tag_V))
        known = past.before(self.anchored.moment).with_vocabulary(vocabulary_T)
        is_asked_T = np.isin(vocabulary_T.astype(str), past.tag_T.astype(str))
        scores_UT = np.tile(NEGLIGIBLE_SCORE * popularity.share_of(vocabulary_T)[is_asked_T], (past.users, 1))
        for user_B, some in user_batches(known):
            predicted_BT = self.anchored.tell(some, self.anchored.pairs_of_counts(some)).affinity_UT[:, is_asked_T]
            scores_UT[user_B] = np.where(np.isfinite(predicted_BT), predicted_BT, scores_UT[user_B])
        return scores_UT


@dataclass(frozen=True, eq=False)
class SavedTransformer:
    """A SavedModel."""

    model: InterestModel
    kind: str = KIND

    @classmethod
    def read(cls, folder: Path) -> "SavedTransformer":
        """Raises InputError as `read_model` does."""
        return cls(read_model(folder))

    def scorer(self, version: str, counts: Counts1) -> Transformer1:
        return Transformer1(version, self.model, counts)

    def fitted_as_of(self, counts: Counts1) -> AsOfRanker:
        return AsOfRanker(AsOfPredictor.at(self.model, counts, counts.end))

    def save(self, folder: Path) -> None:
        write_model(self.model, folder)
