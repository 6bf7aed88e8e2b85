"""Predictions of a trained model as of a moment, for batches of users, and the table that collects their interests.

Shape letters: U users, W users with an event, B users of a batch, T tags of a history, V tags of the vocabulary, N
networks, K interests of a network, D width, I published interests of a user by rank, E evidence sessions of an
interest; R all published interests, X all evidence sessions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit

from model.counts.model import Counts1
from model.counts.publish import Published
from model.data.arrays import AnyArray, Floats, Ints, Texts
from model.data.history import History
from model.data.pairs import Pairs, candidates, own_tags
from model.data.scores import EVIDENCE_PER_INTEREST, INTERESTS_PER_USER
from model.transformer.dataset import INFERENCE_TOKENS_PER_BATCH, MAX_TOKENS, InferenceSet, batch_by_length
from model.transformer.model import InterestModel
from model.transformer.network import NetworkOutput
from model.transformer.stacked_features import MIN_PROBABILITY, StackedFeatures, stack, stacked_model_as_of
from model.transformer.tensors import to_device
from model.transformer.tokens import TokenBatch, Tokens

NO_TAG = -1
NO_SCORE = -np.inf
MAX_USERS_PER_BATCH = 256  # bounds the memory of scores of every tag


@dataclass(frozen=True, eq=False)
class InterestTable:
    """The interests of each user, the best first, then NO_TAG; and the evidence of each, the best first, then None."""

    tag_UI: Ints
    affinity_UI: Floats
    trend_UI: Floats
    session_id_UIE: Texts

    @classmethod
    def empty(cls, users: int) -> "InterestTable":
        shape = (users, INTERESTS_PER_USER)
        return cls(
            np.full(shape, NO_TAG),
            np.zeros(shape),
            np.zeros(shape),
            np.full((*shape, EVIDENCE_PER_INTEREST), None, dtype=object),
        )

    def put(self, user_B: Ints, rows: "InterestTable") -> None:
        """Set the rows of some users."""
        self.tag_UI[user_B] = rows.tag_UI
        self.affinity_UI[user_B] = rows.affinity_UI
        self.trend_UI[user_B] = rows.trend_UI
        self.session_id_UIE[user_B] = rows.session_id_UIE

    def published(self) -> Published:
        user_R, rank_R = np.nonzero(self.tag_UI != NO_TAG)
        session_id_RE = self.session_id_UIE[user_R, rank_R]
        has_session_RE = np.asarray(session_id_RE != None, dtype=bool)  # noqa: E711  # numpy compares elementwise
        return Published(
            user_R=user_R,
            tag_R=self.tag_UI[user_R, rank_R],
            affinity_R=self.affinity_UI[user_R, rank_R],
            trend_R=self.trend_UI[user_R, rank_R],
            evidence_count_R=has_session_RE.sum(axis=1),
            session_id_V=session_id_RE[has_session_RE],
        )


def top_tags_UI(affinity_UT: Floats) -> Ints:
    """Return the tags of highest affinity of each user, ties by name; NO_TAG where there is no further score."""
    order_UI = np.argsort(-affinity_UT, axis=1, kind="stable")[:, :INTERESTS_PER_USER]
    has_score_UI = np.isfinite(np.take_along_axis(affinity_UT, order_UI, axis=1))
    missing = INTERESTS_PER_USER - order_UI.shape[1]
    return np.pad(np.where(has_score_UI, order_UI, NO_TAG), ((0, 0), (0, missing)), constant_values=NO_TAG)


def values_of_tags_UI(value_UT: AnyArray, tag_UI: Ints) -> Floats:
    """Return the value of each tag, 0 for NO_TAG."""
    return np.where(tag_UI == NO_TAG, 0.0, np.take_along_axis(value_UT, np.maximum(tag_UI, 0), axis=1))


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """The inputs and outputs of all networks for some users with events."""

    inputs: InferenceSet
    batch: TokenBatch  # on the device of the networks, as the outputs are
    outputs: tuple[NetworkOutput, ...]  # one per network

    def log_odds_WV(self) -> Floats:
        """Return the log-odds of the mean probability of the networks, not calibrated."""
        predicted_NWV = torch.stack([torch.sigmoid(output.affinity_BCT[:, 0].double()) for output in self.outputs])
        return np.asarray(logit(np.clip(predicted_NWV.mean(0).cpu().numpy(), MIN_PROBABILITY, 1 - MIN_PROBABILITY)))

    def return_log_odds_W(self) -> Floats:
        predicted_NW = torch.stack([output.return_BC[:, 0].double() for output in self.outputs])
        return np.asarray(predicted_NW.mean(0).cpu().numpy())

    def embedding_WD(self) -> NDArray[np.float32]:
        """Return the mean of the interest vectors, weighted by their shares.

        Of the first network only, since each network has a vector space of its own.
        """
        interests = self.outputs[0].interests
        share_WK1 = interests.log_share_BCK[:, 0].exp()[..., None]
        return np.asarray((share_WK1 * interests.vector_BCKD[:, 0]).sum(1).float().cpu().numpy())


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a model for some users."""

    affinity_UT: Floats  # NO_SCORE where neither the networks nor counts-1 predict
    user_W: Ints
    forward_pass: ForwardPass | None  # of the users with an event; None if there is none


@dataclass(frozen=True, eq=False)
class AsOfPredictor:
    """An interest model at `moment`, with the counts-1 of a day."""

    model: InterestModel
    features: StackedFeatures
    counts: Counts1
    moment: int

    @classmethod
    def at(cls, model: InterestModel, counts: Counts1, moment: int) -> "AsOfPredictor":
        fitted = tuple(stacked_model_as_of(one, counts, moment) for one in model.stacked_models)
        return cls(model, stack(fitted), counts, moment)

    def counts_pairs(self, users: History) -> Pairs:
        """Return the pairs of user and tag that counts-1 predicts instead of the networks.

        These are own and popular tags that are not in the vocabulary, and the popular tags of users without events.
        """
        popular_T = np.searchsorted(users.tag_T, self.counts.popularity.popular_tags())
        pairs = candidates(own_tags(users), users.users, popular_T)
        is_unknown_T = self.model.vocabulary.tag_codes(users.tag_T) == 0
        is_empty_U = users.event_counts_U() == 0
        return Pairs(pairs.key_P[is_unknown_T[pairs.tag_P] | is_empty_U[pairs.user_P]], pairs.tags)

    def predict(self, users: History, counts_pairs: Pairs) -> Predictions:
        """Return the calibrated probability of each tag of the vocabulary and of `counts_pairs`.

        users: no event at the moment or later; the vocabulary has every popular tag and every tag of the model.
        """
        affinity_UT = np.full((users.users, len(users.tag_T)), NO_SCORE)
        has_event_U = users.event_counts_U() > 0
        user_W = np.flatnonzero(has_event_U)
        forward_pass = self.forward(users.of_users(has_event_U)) if len(user_W) else None
        if forward_pass:
            column_V = np.searchsorted(users.tag_T, self.model.vocabulary.tags)
            log_odds_WV = forward_pass.log_odds_WV()
            calibrated = self.model.calibrations.affinity_N(log_odds_WV.ravel())
            affinity_UT[np.ix_(user_W, column_V)] = calibrated.reshape(log_odds_WV.shape)
        share_T = self.counts.popularity.share_of(users.tag_T)
        affinity_UT[counts_pairs.user_P, counts_pairs.tag_P] = self.counts.fitted.affinity_P(
            users, own_tags(users), counts_pairs, share_T, self.moment
        )
        return Predictions(affinity_UT, user_W, forward_pass)

    @torch.no_grad()
    def forward(self, users: History) -> ForwardPass:
        """Run the networks. users: with at least one event each."""
        inputs = InferenceSet.of(users, self.moment, self.model.vocabulary, self.features, self.model.config)
        batch, stacked_BCTP = inputs.inputs(np.arange(users.users))
        batch, stacked_BCTP = to_device(batch, self.model.device), stacked_BCTP.to(self.model.device)
        return ForwardPass(inputs, batch, tuple(network(batch, stacked_BCTP) for network in self.model.networks))


def user_batches(history: History) -> Iterator[tuple[Ints, History]]:
    """Yield batches of users of similar length, and their histories."""
    length_U = np.clip(history.event_counts_U() + 2 * history.session_counts_U(), 1, MAX_TOKENS)
    for users in batch_by_length(length_U, INFERENCE_TOKENS_PER_BATCH):
        for first in range(0, len(users), MAX_USERS_PER_BATCH):
            user_B = np.sort(users[first : first + MAX_USERS_PER_BATCH])
            yield user_B, history.of_users(np.isin(np.arange(history.users), user_B))


def session_ids_US(tokens: Tokens) -> Texts:
    """Return the id of each session by user and index, oldest first; None where a user has fewer."""
    id_US = np.full((tokens.users, int(tokens.session_N.max()) + 1), None, dtype=object)
    id_US[tokens.user_N, tokens.session_N] = tokens.session_id_N
    return id_US
