"""The profiles of transformer-1 for a day: interests and evidence by the networks, the rest by counts-1.

`Transformer1` is the Scorer of a day. `SavedTransformer` is the model in the registry. `AsOfRanker` ranks by the same
affinities in evaluations.

Shape letters: U users, W users with an event, B users of a batch, T tags of a history, I published interests of a user
by rank, E evidence sessions of an interest, K interests of a network, L tokens, S sessions of a user, D width, R
published interests with evidence by counts-1, X their evidence sessions.
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
from model.data.arrays import Floats, Ints, Texts
from model.data.days import MICROS_PER_DAY
from model.data.history import History
from model.data.pairs import Pairs, own_tags
from model.data.scores import EVIDENCE_PER_INTEREST, Scores
from model.transformer.distributed import scoring_threads
from model.transformer.model import KIND, InterestModel, read_model, write_model
from model.transformer.network import InterestTransformer
from model.transformer.predict import (
    NO_TAG,
    AsOfPredictor,
    ForwardPass,
    InterestTable,
    Predictions,
    session_ids_US,
    top_tags_UI,
    user_batches,
    values_of_tags_UI,
)


@torch.no_grad()
def attended_sessions_BIE(networks: Sequence[InterestTransformer], forward_pass: ForwardPass, tag_BI: Ints) -> Texts:
    """Return the ids of the sessions with the highest evidence scores for each tag; None where there are fewer.

    The score of a session is summed over the interests: the interest's share of the tag's probability, times the
    attention of the interest to the session's tokens in the last cross-attention; then the mean over the networks. So a
    tag that the user never touched has evidence too: the sessions that led the networks to predict it.

    tag_BI: indices in the vocabulary; the result at -1 is undefined.
    """
    tags = torch.from_numpy(np.maximum(tag_BI, 0)).to(forward_pass.batch.session_BL.device)
    score_BIS = torch.stack(
        [
            session_scores_BIS(
                _responsibility_BIK(output.interests.log_share_BCK[:, 0], output.interests.log_tag_BCKT[:, 0], tags),
                network.interest_decoder.attention_BCKL(output.memory_BLD, forward_pass.batch)[:, 0],
                forward_pass.batch.session_BL,
            )
            for network, output in zip(networks, forward_pass.outputs, strict=True)
        ]
    ).mean(0)
    return _top_sessions_BIE(score_BIS.double().cpu().numpy(), session_ids_US(forward_pass.inputs.tokens))


def session_scores_BIS(responsibility_BIK: Tensor, attention_BKL: Tensor, session_BL: Tensor) -> Tensor:
    """Return the evidence score of each session, oldest first, for each tag. The scores of a tag sum to at most 1."""
    score_BIL = responsibility_BIK @ attention_BKL
    sessions = int(session_BL.max()) + 1
    score_BIS = score_BIL.new_zeros((*score_BIL.shape[:2], sessions))
    return score_BIS.scatter_add_(2, session_BL[:, None].expand_as(score_BIL), score_BIL)


def _responsibility_BIK(log_share_BK: Tensor, log_tag_BKT: Tensor, tag_BI: Tensor) -> Tensor:
    """Return the share of each interest in a tag's probability."""
    log_tag_BKI = log_tag_BKT.gather(2, tag_BI[:, None].expand(-1, log_tag_BKT.shape[1], -1))
    return (log_share_BK[..., None] + log_tag_BKI).softmax(1).transpose(1, 2)


def _top_sessions_BIE(score_BIS: Floats, id_BS: Texts) -> Texts:
    """Return the ids of the sessions of highest positive score, the later first among ties."""
    newest_first_BIS = score_BIS[..., ::-1]
    order_BIE = np.argsort(-newest_first_BIS, axis=-1, kind="stable")[..., :EVIDENCE_PER_INTEREST]
    session_BIE = score_BIS.shape[-1] - 1 - order_BIE
    session_id_BIE = id_BS[np.arange(len(id_BS))[:, None, None], session_BIE]
    session_id_BIE[np.take_along_axis(score_BIS, session_BIE, axis=-1) <= 0] = None
    padded_BIE = np.full((*score_BIS.shape[:2], EVIDENCE_PER_INTEREST), None, dtype=object)
    padded_BIE[..., : session_BIE.shape[-1]] = session_id_BIE
    return padded_BIE


@dataclass(frozen=True, eq=False)
class BatchScores:
    """The scores of a batch, without the tensors of the networks."""

    user_B: Ints
    interests: InterestTable
    user_W: Ints  # index within the batch
    embedding_WD: NDArray[np.float32]
    return_log_odds_W: Floats


@dataclass(frozen=True, eq=False)
class Transformer1:
    """A Scorer. It ignores events at the end of the as-of day or later."""

    version: str
    model: InterestModel
    counts: Counts1

    @property
    def horizon_days(self) -> int:
        return self.counts.horizon_days

    def parameters(self) -> Mapping[str, Any]:
        return {**self.model.facts, "counts-1": self.counts.parameters()}

    def score(self, history: History) -> Scores:
        """Return the scores of every user.

        Affinities are calibrated means of the networks over every tag of the vocabulary. counts-1 predicts tags that
        appeared after the training, and users without events: these get popular tags, no evidence and an embedding of
        zeros. The trend compares with a horizon earlier at today's popularity; it is 0 for users without events then.
        For evidence see `attended_sessions_BIE`. Items are those of counts-1 by these affinities.
        """
        counts, model = self.counts, self.model
        end, popularity, half_life_days = counts.end, counts.popularity, counts.fitted.half_life_days
        vocabulary_T = reduce(np.union1d, (history.tag_T, popularity.tag_T, model.vocabulary.tags))
        known = history.before(end).with_vocabulary(vocabulary_T)
        now = AsOfPredictor.at(model, counts, end)
        since = end - self.horizon_days * MICROS_PER_DAY
        horizon_ago = AsOfPredictor.at(model, counts, since)
        table = InterestTable.empty(known.users)
        returning_U = return_probability_U(known, end, half_life_days, counts.fitted.returning)
        embedding_UD = np.zeros((known.users, model.config.width), np.float32)
        by_networks = model.calibrations.returning
        with scoring_threads() as threads:
            for scores in threads.map(partial(self._score_batch, now, horizon_ago), user_batches(known)):
                table.put(scores.user_B, scores.interests)
                user_W = scores.user_B[scores.user_W]
                embedding_UD[user_W] = scores.embedding_WD
                if by_networks:
                    returning_U[user_W] = by_networks.probability_N(scores.return_log_odds_W[:, None])
        return scores_of(table.published(), known, end, since, popularity, half_life_days, returning_U, embedding_UD)

    def _score_batch(self, now: AsOfPredictor, horizon_ago: AsOfPredictor, batch: tuple[Ints, History]) -> BatchScores:
        user_B, users = batch
        counts_pairs = now.counts_pairs(users)
        predictions = now.predict(users, counts_pairs)
        tag_BI = top_tags_UI(predictions.affinity_UT)
        affinity_BI = values_of_tags_UI(predictions.affinity_UT, tag_BI)
        trend_BI = self._trend_BI(horizon_ago, users, counts_pairs, tag_BI, affinity_BI)
        evidence_BIE = self._evidence_BIE(predictions, users, counts_pairs, tag_BI)
        forward_pass = predictions.forward_pass
        return BatchScores(
            user_B,
            InterestTable(tag_BI, affinity_BI, trend_BI, evidence_BIE),
            predictions.user_W,
            forward_pass.embedding_WD() if forward_pass else np.zeros((0, self.model.config.width), np.float32),
            forward_pass.return_log_odds_W() if forward_pass else np.zeros(0),
        )

    def _trend_BI(
        self, horizon_ago: AsOfPredictor, users: History, counts_pairs: Pairs, tag_BI: Ints, affinity_BI: Floats
    ) -> Floats:
        past = users.before(horizon_ago.moment)
        was_known_B1 = past.event_counts_U()[:, None] > 0
        before_BT = horizon_ago.predict(past, counts_pairs).affinity_UT
        # For users without events by then there is no prediction of the tags of the vocabulary.
        before_BI = np.where(was_known_B1, values_of_tags_UI(before_BT, tag_BI), affinity_BI)
        return affinity_BI - before_BI

    def _evidence_BIE(self, predictions: Predictions, users: History, counts_pairs: Pairs, tag_BI: Ints) -> Texts:
        """Return evidence by the networks for the tags that they predict, else by the user's touches as in counts-1."""
        evidence_BIE = InterestTable.empty(users.users).session_id_UIE
        if predictions.forward_pass:
            index_T = self.model.vocabulary.tag_codes(users.tag_T) - 1
            index_WI = np.where(tag_BI == NO_TAG, NO_TAG, index_T[tag_BI])[predictions.user_W]
            by_networks_WIE = attended_sessions_BIE(self.model.networks, predictions.forward_pass, index_WI)
            by_networks_WIE[index_WI == NO_TAG] = None
            evidence_BIE[predictions.user_W] = by_networks_WIE
        key_BI = np.arange(len(tag_BI))[:, None] * counts_pairs.tags + tag_BI
        is_by_counts_BI = (tag_BI != NO_TAG) & np.isin(key_BI, counts_pairs.key_P)
        user_R, rank_R = np.nonzero(is_by_counts_BI)
        own = own_tags(users)
        at_R, is_own_R = own.pairs.find(Pairs(user_R * len(users.tag_T) + tag_BI[user_R, rank_R], len(users.tag_T)))
        user_R, rank_R, at_R = user_R[is_own_R], rank_R[is_own_R], at_R[is_own_R]
        end, half_life_days = self.counts.end, self.counts.fitted.half_life_days
        count_R, session_X = strongest_sessions(users, own, own.pairs, at_R, end, half_life_days)
        index_X = np.arange(len(session_X)) - np.repeat(np.cumsum(count_R) - count_R, count_R)
        evidence_BIE[np.repeat(user_R, count_R), np.repeat(rank_R, count_R), index_X] = users.session_id_S[session_X]
        return evidence_BIE


@dataclass(frozen=True, eq=False)
class AsOfRanker:
    """A FittedModel: the affinities that transformer-1 publishes."""

    predictor: AsOfPredictor

    def scores_UT(self, past: History) -> Floats:
        """Return the affinity of each tag; a negligible score by popularity for a tag without a prediction."""
        popularity, tag_V = self.predictor.counts.popularity, self.predictor.model.vocabulary.tags
        vocabulary_T = reduce(np.union1d, (past.tag_T, popularity.tag_T, tag_V))
        known = past.before(self.predictor.moment).with_vocabulary(vocabulary_T)
        is_kept_T = np.isin(vocabulary_T.astype(str), past.tag_T.astype(str))
        scores_UT = np.tile(NEGLIGIBLE_SCORE * popularity.share_of(vocabulary_T)[is_kept_T], (past.users, 1))
        for user_B, users in user_batches(known):
            predictions = self.predictor.predict(users, self.predictor.counts_pairs(users))
            predicted_BT = predictions.affinity_UT[:, is_kept_T]
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

    def scorer(self, version: str, counts: Counts1, known: History) -> Transformer1:
        return Transformer1(version, self.model, counts)

    def fitted_as_of(self, counts: Counts1, known: History) -> AsOfRanker:
        return AsOfRanker(AsOfPredictor.at(self.model, counts, counts.end))

    def save(self, folder: Path) -> None:
        write_model(self.model, folder)
