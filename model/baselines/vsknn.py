"""V-SKNN: sessions similar to the current one vote for the next item, with reminders.

Source: Ludewig and Jannach 2018 (V-SKNN: newer items of the current session weigh more); Latifi, Mauro and Jannach
2021 (older events extend a short session; the user's own sessions remind).

Shape letters: N events, V items, B users of a batch, S sessions (newest first), Q entries of a sparse matrix.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from model.baselines.interactions import Interactions
from model.data.arrays import Floats, Ints, top


@dataclass(frozen=True)
class VsknnSettings:
    """The tuned settings."""

    neighbours: int = 100
    sample: int = 1000  # the neighbours are among this many most recent sessions that share an item
    query_steps: int = 20  # newest events of the current session that count
    extended_to: int = 0  # a query is filled up to this many events from older sessions; 0 for the last session alone
    length_power: float = 0.5  # similarity is divided by the session's size to this power: 0 is dot, 0.5 cosine
    idf_power: float = 0.0  # a vote is multiplied by the item's rarity to this power
    reminder: float = 0.0  # share of the score from the user's own sessions, 0 to 1
    reminder_fading: float = 0.85  # factor on an own session per session after it, 0 to 1

    def __post_init__(self) -> None:
        if min(self.neighbours, self.sample, self.query_steps) < 1:
            raise ValueError(f"expected neighbours, sample and query_steps of at least 1, found {self}")
        if not 0 <= self.reminder <= 1 or not 0 < self.reminder_fading <= 1:
            raise ValueError(f"expected reminder from 0 to 1 and reminder_fading above 0 and up to 1, found {self}")


@dataclass(frozen=True, eq=False)
class Vsknn:
    """The sessions of the fit."""

    settings: VsknnSettings
    has_SV: sparse.csr_array  # 1 where the session has the item
    similarity_VS: sparse.csr_array  # transposed, each session divided by a power of its size
    rarity_V: Floats  # 0 to 1

    def scores_BV(self, interactions: Interactions) -> Floats:
        """Return a score of each item as the next one of each user, 0 to 1; all 0 for a user without an event.

        interactions: of a batch of users, items coded as in the fit. A user's row does not depend on the others. Items
        that the user has seen have scores too.
        """
        scores_BV: Floats = (1 - self.settings.reminder) * self.votes_BV(interactions).toarray()
        if self.settings.reminder > 0:
            scores_BV += self.settings.reminder * _reminders_BV(interactions, self.settings.reminder_fading)
        return scores_BV

    def votes_BV(self, interactions: Interactions) -> sparse.csr_array:
        """Return the share of the neighbours, weighted by similarity, that has the item, times the item's rarity.

        interactions: as of `scores_BV`.
        """
        similarity_BS = self._neighbours_BS(_query_BV(interactions, self.settings))
        whole_B = similarity_BS.sum(axis=1)
        votes_BV = (similarity_BS @ self.has_SV).tocsr()
        of_row_Q = np.repeat(1 / np.where(whole_B > 0, whole_B, 1.0), np.diff(votes_BV.indptr))
        votes_BV.data = votes_BV.data * of_row_Q * self.rarity_V[votes_BV.indices]
        return votes_BV

    def followed_N(self, interactions: Interactions, user_N: Ints, item_N: Ints) -> Ints:
        """Return for each user and item with a vote the item of the query that adds most to its votes.

        A vote is the sum of the similarities of the neighbours with the item, and a similarity a sum over the items of
        the query, so each of these has a part in the vote.

        interactions: as of `scores_BV`.
        """
        query_BV = _query_BV(interactions, self.settings)
        neighbours_BS = self._neighbours_BS(query_BV)
        neighbours_BS.data[:] = 1.0
        weight_NS = neighbours_BS[user_N].multiply(self.similarity_VS[item_N])  # 0 where a session lacks the item
        part_NV = (weight_NS @ self.has_SV).multiply(query_BV[user_N]).tocoo()
        best = top(1, part_NV.row, part_NV.data, part_NV.col)
        return np.asarray(part_NV.col[best].astype(np.int64))

    def _neighbours_BS(self, query_BV: sparse.csr_array) -> sparse.csr_array:
        """Return the similarity of the most similar of the most recent sessions that share an item."""
        similarity_BS = (query_BV @ self.similarity_VS).tocsr()
        similarity_BS.sort_indices()  # sessions are newest first
        data, first_B = similarity_BS.data, similarity_BS.indptr[:-1]
        end_B = np.minimum(similarity_BS.indptr[1:], first_B + self.settings.sample)
        chosen_B = [
            first + _strongest(data[first:end], self.settings.neighbours)
            for first, end in zip(first_B, end_B, strict=True)
        ]
        chosen = np.concatenate([np.empty(0, np.int64), *chosen_B])
        starts = np.concatenate([[0], np.cumsum([len(one) for one in chosen_B], dtype=np.int64)])
        return sparse.csr_array((data[chosen], similarity_BS.indices[chosen], starts), shape=similarity_BS.shape)


def _strongest(values: Floats, count: int) -> Ints:
    """Return the places of the `count` greatest values in rising order; of equals the first ones."""
    if len(values) <= count:
        return np.arange(len(values))
    least = np.partition(values, -count)[-count]
    greater, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
    return np.sort(np.concatenate([greater, equal[: count - len(greater)]]))


def fit_vsknn(interactions: Interactions, settings: VsknnSettings) -> Vsknn:
    """Index the sessions of all users."""
    session_N, sessions = _newest_first(interactions)
    has_SV = _distinct(session_N, interactions.item_N, (sessions, interactions.items))
    size_S = np.diff(has_SV.indptr)
    similarity_SV = sparse.diags_array(1 / size_S**settings.length_power) @ has_SV
    sessions_V = np.bincount(has_SV.indices, minlength=interactions.items)
    # 0 for an item in every session, 1 for one in a single session.
    rarity_V = np.log(max(sessions, 1) / np.maximum(sessions_V, 1)) / max(np.log(max(sessions, 1)), 1e-9)
    return Vsknn(settings, has_SV, similarity_SV.T.tocsr(), rarity_V**settings.idf_power)


def _newest_first(interactions: Interactions) -> tuple[Ints, int]:
    """Return the code of each event's session, 0 for the session that ended last, and the number of sessions."""
    of_users = interactions.session_N.max(initial=0) + 1
    first, code_N = np.unique(interactions.user_N * of_users + interactions.session_N, return_inverse=True)
    last_at = np.full(len(first), np.iinfo(np.int64).min)
    np.maximum.at(last_at, code_N, interactions.at_N)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(-last_at, kind="stable")] = np.arange(len(first))
    return rank[code_N], len(first)


def _query_BV(interactions: Interactions, settings: VsknnSettings) -> sparse.csr_array:
    """Return the weight of each item of the query, by its newest event: 1 for the last event, falling linearly."""
    back_N = interactions.events_after_N()
    sessions_back_N = _sessions_back_N(interactions)
    is_in_query_N = (sessions_back_N == 0) | (back_N < settings.extended_to)
    is_in_query_N &= back_N < settings.query_steps
    user, back = interactions.user_N[is_in_query_N], back_N[is_in_query_N]
    length_B = np.bincount(user, minlength=interactions.users)
    weight = 1 - back / length_B[user]
    query_BV = _distinct(user, interactions.item_N[is_in_query_N], (interactions.users, interactions.items))
    cell = user * interactions.items + interactions.item_N[is_in_query_N]
    cells, event_cell = np.unique(cell, return_inverse=True)
    query_BV.data = np.zeros(len(cells))
    np.maximum.at(query_BV.data, event_cell, weight)
    return query_BV


def _reminders_BV(interactions: Interactions, fading: float) -> Floats:
    """Return the share of the user's sessions, weighted by age in sessions, that has the item."""
    sessions_back_N = _sessions_back_N(interactions)
    most = int(sessions_back_N.max(initial=0)) + 1
    cell = np.unique((interactions.user_N * most + sessions_back_N) * interactions.items + interactions.item_N)
    user, back, item = (
        cell // (most * interactions.items),
        cell // interactions.items % most,
        cell % interactions.items,
    )
    shape = (interactions.users, interactions.items)
    reminders_BV: Floats = sparse.csr_array((fading**back, (user, item)), shape=shape).toarray()
    sessions_B = np.zeros(interactions.users, np.int64)
    np.maximum.at(sessions_B, interactions.user_N, sessions_back_N + 1)
    whole = np.concatenate([[1.0], np.cumsum(fading ** np.arange(most))])
    return np.asarray(reminders_BV / whole[sessions_B][:, None])


def _sessions_back_N(interactions: Interactions) -> Ints:
    """Count the sessions of the same user after that of each event; 0 for the last."""
    is_new_N = np.diff(interactions.session_N, prepend=-1) != 0
    is_new_N |= np.diff(interactions.user_N, prepend=-1) != 0
    ordinal_N = np.cumsum(is_new_N)
    last_U = np.zeros(interactions.users, np.int64)
    np.maximum.at(last_U, interactions.user_N, ordinal_N)
    return np.asarray(last_U[interactions.user_N] - ordinal_N)


def _distinct(row_N: Ints, column_N: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    """Return 1 in each given cell; a cell may be given more than once."""
    cell = np.unique(row_N * shape[1] + column_N)
    return sparse.csr_array((np.ones(len(cell)), (cell // shape[1], cell % shape[1])), shape=shape)
