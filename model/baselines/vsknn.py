"""Sessions like the current one vote for what comes next: V-SKNN, with reminders.

Source: Ludewig and Jannach 2018 (V-SKNN: the newer things of the current session weigh more); Latifi, Mauro and Jannach
2021 (a short session is extended by older steps; the user's own sessions remind).

Shape letters: N steps, V things, B users of a batch, S sessions (newest first), Q entries of a sparse matrix.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from model.baselines.interactions import Interactions
from model.data.arrays import Floats, Ints, strongest_first


@dataclass(frozen=True)
class VsknnSettings:
    """What is tuned."""

    neighbours: int = 100
    sample: int = 1000  # the most recent sessions that share a thing, among which the neighbours are
    query_steps: int = 20  # of the current session; older steps of it say nothing
    extended_to: int = 0  # steps that a query has at least, taken from older sessions; 0 for the last session alone
    length_power: float = 0.5  # likeness is divided by the session's size to this power: 0 is dot, 0.5 cosine
    idf_power: float = 0.0  # a vote counts the thing's rarity to this power; 0 for all alike
    reminder: float = 0.0  # share of the strength that is from the user's own sessions, 0 to 1
    reminder_fading: float = 0.85  # what an own session counts less than the one after it, 0 to 1

    def __post_init__(self) -> None:
        if min(self.neighbours, self.sample, self.query_steps) < 1:
            raise ValueError(f"neighbours, sample and query_steps are 1 at least, found {self}")
        if not 0 <= self.reminder <= 1 or not 0 < self.reminder_fading <= 1:
            raise ValueError(f"reminder lies between 0 and 1, reminder_fading above 0 too, found {self}")


@dataclass(frozen=True, eq=False)
class Vsknn:
    """The sessions that vote."""

    settings: VsknnSettings
    has_SV: sparse.csr_array  # 1 where the session has the thing
    likeness_VS: sparse.csr_array  # the same turned, each session divided by its size
    rarity_V: Floats  # 0 to 1

    def scores_BV(self, interactions: Interactions) -> Floats:
        """Return how strongly each thing is expected next of each user, 0 to 1; all 0 for a user without a step.

        trails: of a batch of users, things coded as in the fit. A user's row does not depend on the others. Things
        that the user has seen are among the strengths: whoever wants none of them takes them out.
        """
        scores_BV = (1 - self.settings.reminder) * self._votes_BV(interactions)
        if self.settings.reminder > 0:
            scores_BV += self.settings.reminder * _reminders_BV(interactions, self.settings.reminder_fading)
        return scores_BV

    def _votes_BV(self, interactions: Interactions) -> Floats:
        """Return which share of the neighbours, each by its likeness, has the thing."""
        like_BS = self._neighbours_BS(_query_BV(interactions, self.settings))
        whole_B = like_BS.sum(axis=1)
        votes_BV = np.asarray((like_BS @ self.has_SV).toarray())
        return votes_BV / np.where(whole_B > 0, whole_B, 1.0)[:, None] * self.rarity_V

    def _neighbours_BS(self, query_BV: sparse.csr_array) -> sparse.csr_array:
        """Return the likeness of the most alike among the most recent sessions that share a thing."""
        like_BS = (query_BV @ self.likeness_VS).tocsr()
        like_BS.sort_indices()  # sessions stand newest first
        row_Q = np.repeat(np.arange(like_BS.shape[0]), np.diff(like_BS.indptr))
        place_Q = np.arange(len(row_Q)) - like_BS.indptr[row_Q]
        sampled = np.flatnonzero(place_Q < self.settings.sample)
        row, session, like = row_Q[sampled], like_BS.indices[sampled], like_BS.data[sampled]
        order, place = strongest_first(row, like, session)
        chosen = np.sort(order[place < self.settings.neighbours])
        return sparse.csr_array((like[chosen], (row[chosen], session[chosen])), shape=like_BS.shape)


def fit_vsknn(interactions: Interactions, settings: VsknnSettings) -> Vsknn:
    """Lay out the sessions of everybody; where no sessions are known, a whole trail is one."""
    session_N, sessions = _newest_first(interactions)
    has_SV = _distinct(session_N, interactions.item_N, (sessions, interactions.things))
    size_S = np.diff(has_SV.indptr)
    likeness_SV = sparse.diags_array(1 / size_S**settings.length_power) @ has_SV
    sessions_V = np.bincount(has_SV.indices, minlength=interactions.things)
    # A thing in every session has none of it, one in a single session all.
    rarity_V = np.log(max(sessions, 1) / np.maximum(sessions_V, 1)) / max(np.log(max(sessions, 1)), 1e-9)
    return Vsknn(settings, has_SV, likeness_SV.T.tocsr(), rarity_V**settings.idf_power)


def _newest_first(interactions: Interactions) -> tuple[Ints, int]:
    """Return the code of each step's session, 0 for the one of the newest last step; and how many there are."""
    of_users = interactions.session_N.max(initial=0) + 1
    first, code_N = np.unique(interactions.user_N * of_users + interactions.session_N, return_inverse=True)
    last_at = np.full(len(first), np.iinfo(np.int64).min)
    np.maximum.at(last_at, code_N, interactions.at_N)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(-last_at, kind="stable")] = np.arange(len(first))
    return rank[code_N], len(first)


def _query_BV(interactions: Interactions, settings: VsknnSettings) -> sparse.csr_array:
    """Return the weight of each thing of the query: 1 for the last, falling by equal steps; its newest step counts."""
    back_N = interactions.events_after_N()
    sessions_back_N = _sessions_back_N(interactions)
    is_asked_N = (sessions_back_N == 0) | (back_N < settings.extended_to)
    is_asked_N &= back_N < settings.query_steps
    user, back = interactions.user_N[is_asked_N], back_N[is_asked_N]
    length_B = np.bincount(user, minlength=interactions.users)
    weight = 1 - back / length_B[user]
    query_BV = _distinct(user, interactions.item_N[is_asked_N], (interactions.users, interactions.things))
    cell = user * interactions.things + interactions.item_N[is_asked_N]
    cells, of_step = np.unique(cell, return_inverse=True)
    query_BV.data = np.zeros(len(cells))
    np.maximum.at(query_BV.data, of_step, weight)
    return query_BV


def _reminders_BV(interactions: Interactions, fading: float) -> Floats:
    """Return which share of the user's sessions, each by its age in sessions, has the thing."""
    sessions_back_N = _sessions_back_N(interactions)
    most = int(sessions_back_N.max(initial=0)) + 1
    cell = np.unique((interactions.user_N * most + sessions_back_N) * interactions.things + interactions.item_N)
    user, back, thing = (
        cell // (most * interactions.things),
        cell // interactions.things % most,
        cell % interactions.things,
    )
    shape = (interactions.users, interactions.things)
    reminders_BV: Floats = sparse.csr_array((fading**back, (user, thing)), shape=shape).toarray()
    sessions_B = np.zeros(interactions.users, np.int64)
    np.maximum.at(sessions_B, interactions.user_N, sessions_back_N + 1)
    whole = np.concatenate([[1.0], np.cumsum(fading ** np.arange(most))])
    return np.asarray(reminders_BV / whole[sessions_B][:, None])


def _sessions_back_N(interactions: Interactions) -> Ints:
    """Count the sessions of the same user after that of each step; 0 for the last."""
    is_new_N = np.diff(interactions.session_N, prepend=-1) != 0
    is_new_N |= np.diff(interactions.user_N, prepend=-1) != 0
    ordinal_N = np.cumsum(is_new_N)
    last_U = np.zeros(interactions.users, np.int64)
    np.maximum.at(last_U, interactions.user_N, ordinal_N)
    return np.asarray(last_U[interactions.user_N] - ordinal_N)


def _distinct(row_N: Ints, column_N: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    """Return 1 in each cell that is named, once or often."""
    cell = np.unique(row_N * shape[1] + column_N)
    return sparse.csr_array((np.ones(len(cell)), (cell // shape[1], cell % shape[1])), shape=shape)
