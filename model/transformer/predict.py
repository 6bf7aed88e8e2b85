"""Interests of users as a table of fixed width, which can be filled in any order of users.

Shape letters: U users, I interests of a user by rank, V evidence; R interests and V evidence end to end.

An interest model at a moment, asked about some users at a time.

Shape letters: U users, W users with an event, T tags asked about, V tags of the vocabulary, P pairs of user and tag,
N networks, K interests, D width.
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
from model.data.pairs import OwnTags, Pairs, candidates, own_tags
from model.data.scores import EVIDENCE_PER_INTEREST, INTERESTS_PER_USER
from model.transformer.dataset import MAX_TOKENS, InferenceSet, batches
from model.transformer.model import InterestModel
from model.transformer.network import Answer
from model.transformer.stacked_features import MIN_PROBABILITY, StackedFeatures, stack, stacked_model_as_of
from model.transformer.tensors import on
from model.transformer.tokens import TokenBatch, Tokens

NO_TAG = -1


@dataclass(frozen=True, eq=False)
class InterestTable:
    """The strongest interests of each user first, then NO_TAG; of an interest the strongest sessions, then None."""

    tag_UI: Ints
    affinity_UI: Floats
    trend_UI: Floats
    session_id_UIV: Texts

    @classmethod
    def empty(cls, users: int) -> "InterestTable":
        shape = (users, INTERESTS_PER_USER)
        return cls(
            np.full(shape, NO_TAG),
            np.zeros(shape),
            np.zeros(shape),
            np.full((*shape, EVIDENCE_PER_INTEREST), None, dtype=object),
        )

    def put(self, user_B: Ints, some: "InterestTable") -> None:
        """Take over what is told of some users."""
        self.tag_UI[user_B] = some.tag_UI
        self.affinity_UI[user_B] = some.affinity_UI
        self.trend_UI[user_B] = some.trend_UI
        self.session_id_UIV[user_B] = some.session_id_UIV

    def published(self) -> Published:
        user_R, rank_R = np.nonzero(self.tag_UI != NO_TAG)
        session_id_RV = self.session_id_UIV[user_R, rank_R]
        has_session_RV = np.asarray(session_id_RV != None, dtype=bool)  # noqa: E711  # numpy compares one by one
        return Published(
            user_R=user_R,
            tag_R=self.tag_UI[user_R, rank_R],
            affinity_R=self.affinity_UI[user_R, rank_R],
            trend_R=self.trend_UI[user_R, rank_R],
            evidence_count_R=has_session_RV.sum(axis=1),
            session_id_V=session_id_RV[has_session_RV],
        )


def strongest_UI(affinity_UT: Floats) -> Ints:
    """Return the strongest tags of each user, of equals the first by name; NO_TAG where nothing more is told."""
    order_UI = np.argsort(-affinity_UT, axis=1, kind="stable")[:, :INTERESTS_PER_USER]
    is_published_UI = np.isfinite(np.take_along_axis(affinity_UT, order_UI, axis=1))
    missing = INTERESTS_PER_USER - order_UI.shape[1]
    return np.pad(np.where(is_published_UI, order_UI, NO_TAG), ((0, 0), (0, missing)), constant_values=NO_TAG)


def of_tags_UI(value_UT: AnyArray, tag_UI: Ints) -> Floats:
    """Return the value of each listed tag, 0 where there is no tag."""
    return np.where(tag_UI == NO_TAG, 0.0, np.take_along_axis(value_UT, np.maximum(tag_UI, 0), axis=1))


TOKENS_AT_ONCE = 16_384
USERS_AT_ONCE = 256  # bounds what is held of every tag at once
NO_SCORE = -np.inf


@dataclass(frozen=True, eq=False)
class Reading:
    """What the networks found in some users' events."""

    asked: InferenceSet
    batch: TokenBatch  # on the device of the networks, as are the answers
    answers: tuple[Answer, ...]  # one a network

    def log_odds_WV(self) -> Floats:
        """Return the log-odds of the mean probability of the networks, before any calibration."""
        told_NWV = torch.stack([torch.sigmoid(answer.affinity_BCT[:, 0].double()) for answer in self.answers])
        return np.asarray(logit(np.clip(told_NWV.mean(0).cpu().numpy(), MIN_PROBABILITY, 1 - MIN_PROBABILITY)))

    def return_log_odds_W(self) -> Floats:
        told_NW = torch.stack([answer.return_BC[:, 0].double() for answer in self.answers])
        return np.asarray(told_NW.mean(0).cpu().numpy())

    def embedding_WD(self) -> NDArray[np.float32]:
        """Return the mean of the interests, each by its share. Of the first network: each has a space of its own."""
        interests = self.answers[0].interests
        share_WK1 = interests.log_share_BCK[:, 0].exp()[..., None]
        return np.asarray((share_WK1 * interests.vector_BCKD[:, 0]).sum(1).float().cpu().numpy())


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of some users."""

    affinity_UT: Floats  # NO_SCORE where nothing is told
    user_W: Ints
    reading: Reading | None  # of the users with an event; None where there is none


@dataclass(frozen=True, eq=False)
class AsOfPredictor:
    """An interest model as of `moment`, with the counts-1 of a day."""

    model: InterestModel
    paths: StackedFeatures
    counts: Counts1
    moment: int

    @classmethod
    def at(cls, model: InterestModel, counts: Counts1, moment: int) -> "AsOfPredictor":
        return cls(
            model, stack(tuple(stacked_model_as_of(path, counts, moment) for path in model.paths)), counts, moment
        )

    def pairs_of_counts(self, some: History) -> Pairs:
        """Return the pairs that counts-1 speaks of, as the networks cannot: own and popular tags that are not in the
        vocabulary, and the popular ones of users without an event."""
        popular_T = np.searchsorted(some.tag_T, self.counts.popularity.popular_tags())
        pairs = candidates(own_tags(some), some.users, popular_T)
        is_foreign_T = self.model.vocabulary.tag_codes(some.tag_T) == 0
        is_empty_U = some.event_counts_U() == 0
        return Pairs(pairs.key_P[is_foreign_T[pairs.tag_P] | is_empty_U[pairs.user_P]], pairs.tags)

    def tell(self, some: History, of_counts: Pairs) -> Predictions:
        """Return the calibrated probability of each tag of the vocabulary and of `of_counts`.

        some: nothing lies at the moment or after it; its vocabulary has every popular tag and that of the model.
        """
        affinity_UT = np.full((some.users, len(some.tag_T)), NO_SCORE)
        has_event_U = some.event_counts_U() > 0
        user_W = np.flatnonzero(has_event_U)
        reading = self.read(some.of_users(has_event_U)) if len(user_W) else None
        if reading:
            place_V = np.searchsorted(some.tag_T, self.model.vocabulary.tags)
            log_odds_WV = reading.log_odds_WV()
            calibrated = self.model.calibrations.affinity_N(log_odds_WV.ravel())
            affinity_UT[np.ix_(user_W, place_V)] = calibrated.reshape(log_odds_WV.shape)
        own, share_T = own_tags(some), self.counts.popularity.share_of(some.tag_T)
        affinity_P = self._affinity_by_counts_P(some, own, of_counts, share_T)
        affinity_UT[of_counts.user_P, of_counts.tag_P] = affinity_P
        return Predictions(affinity_UT, user_W, reading)

    @torch.no_grad()
    def read(self, some: History) -> Reading:
        """some: users with an event each."""
        asked = InferenceSet.of(some, self.moment, self.model.vocabulary, self.paths, self.model.size)
        batch, stacked_BCTP = asked.batch(np.arange(some.users))
        batch, stacked_BCTP = on(batch, self.model.device), stacked_BCTP.to(self.model.device)
        return Reading(asked, batch, tuple(network(batch, stacked_BCTP) for network in self.model.networks))

    def _affinity_by_counts_P(self, some: History, own: OwnTags, pairs: Pairs, share_T: Floats) -> Floats:
        return self.counts.fitted.affinity_P(some, own, pairs, share_T, self.moment)


def user_batches(known: History) -> Iterator[tuple[Ints, History]]:
    """Yield users of like lengths and their history, so many at a time as can be asked about at once."""
    length_U = np.clip(known.event_counts_U() + 2 * known.session_counts_U(), 1, MAX_TOKENS)
    for users in batches(length_U, TOKENS_AT_ONCE):
        for first in range(0, len(users), USERS_AT_ONCE):
            user_B = np.sort(users[first : first + USERS_AT_ONCE])
            yield user_B, known.of_users(np.isin(np.arange(known.users), user_B))


def session_ids_US(tokens: Tokens) -> Texts:
    """Return the name of each session by user and ordinal, oldest first; None where a user has fewer."""
    id_US = np.full((tokens.users, int(tokens.session_N.max()) + 1), None, dtype=object)
    id_US[tokens.user_N, tokens.session_N] = tokens.session_id_N
    return id_US
