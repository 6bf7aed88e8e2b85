"""Which items a user may touch next, and what is known of each pair of a user and an item.

The items of events take the place of tags, so that pairs, counts and popularity of `model.data` and `model.counts`
serve for items too.

Shape letters: U users, I items, P pairs of user and item, R interests (a user's together), F features, E events.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from model.baselines.interactions import tag_interactions
from model.baselines.vsknn import Vsknn, fit_vsknn
from model.boosting.votes import MAX_SESSIONS, METHOD, MIN_VOTE
from model.counts.candidates import positions_in
from model.counts.features import AFFINITY_FEATURES, affinity_features_PF, count, count_days_P
from model.counts.reasons import Interests
from model.data.arrays import Floats, Ints, Texts, top
from model.data.history import NO_ITEM, History
from model.data.pairs import Pairs, candidates, excluded_pairs, own_tags
from model.data.popularity import Popularity, fit_popularity

ITEM_FEATURES = (*AFFINITY_FEATURES, "log_recent_count", "log_interest", "log_session_vote")
COUNT_HORIZONS = 2.0  # half-life of counts, in horizons
RECENT_HORIZONS = 0.25  # half-life of `log_recent_count`, in horizons
CANDIDATES_BY_INTEREST = 30  # of each user
CANDIDATES_BY_SESSION = 30
MIN_INTEREST = 1e-4  # lower bound before the logarithm
USERS_AT_ONCE = 512
# Those of the votes for tags, without reminders: a user's own items have features of their own.
SESSIONS = replace(METHOD.vsknn, reminder=0.0)


def of_items(history: History) -> History:
    """Return the same users and events with the item of each event, as text, in place of its tags."""
    event_M = np.flatnonzero(history.item_E != NO_ITEM)
    item_I, code_M = np.unique(history.item_E[event_M].astype(str), return_inverse=True)
    return replace(history, event_M=event_M, tag_M=code_M, tag_T=item_I.astype(object))


@dataclass(frozen=True, eq=False)
class ItemsOfDay:
    """What all users' events before a moment say of items: their popularity, and sessions that vote."""

    moment: int
    horizon_days: float
    of_tags: Popularity  # the most popular items of each tag
    of_items: Popularity  # of items, which are its tags
    item_V: Texts  # sorted
    sessions: Vsknn

    @classmethod
    def before(cls, known: History, of_tags: Popularity, moment: int, horizon_days: float) -> "ItemsOfDay":
        """known: all users; events at `moment` or later are ignored. of_tags: as of `moment`."""
        items = of_items(known.before(moment))
        sessions = fit_vsknn(tag_interactions(items.newest_sessions(MAX_SESSIONS)), SESSIONS)
        return cls(moment, horizon_days, of_tags, fit_popularity(items, moment), items.tag_T, sessions)

    def pairs(self, history: History, interests: Interests) -> "ItemPairs":
        """Return the candidates of each user with their features. A user's rows do not depend on the other users.

        Items that a rule of the source excludes for the user are none.

        history: any users, no event at the moment or later.
        """
        items = of_items(history)
        vocabulary_I = np.union1d(items.tag_T, self.item_V)
        items = items.with_vocabulary(vocabulary_I)
        excluded = excluded_pairs(items, vocabulary_I)
        interest_UI = self._interest_UI(history.users, interests, vocabulary_I)
        vote_UI = self._vote_UI(items, vocabulary_I)
        own = own_tags(items)
        popular = candidates(own, items.users, np.searchsorted(vocabulary_I, self.of_items.popular_tags()))
        by_interest = _best(interest_UI, CANDIDATES_BY_INTEREST, excluded)
        by_session = _best(vote_UI, CANDIDATES_BY_SESSION, excluded)
        keys = np.concatenate([popular.without(excluded).key_P, by_interest, by_session])
        pairs = Pairs(np.unique(keys), len(vocabulary_I))

        half_lives_days = (COUNT_HORIZONS * self.horizon_days, RECENT_HORIZONS * self.horizon_days)
        counts, recent = (count(items, own, pairs, self.moment, days) for days in half_lives_days)
        days_P = count_days_P(items, own, pairs, self.moment)
        features_PF = np.column_stack(
            [
                affinity_features_PF(counts, days_P, pairs, self.of_items.share_of(vocabulary_I)),
                np.log1p(recent.count_P),
                np.log(np.maximum(_cells_P(interest_UI, pairs), MIN_INTEREST)),
                np.log(np.maximum(_cells_P(vote_UI, pairs), MIN_VOTE)),
            ]
        )
        return ItemPairs(pairs, vocabulary_I, features_PF)

    def _interest_UI(self, users: int, interests: Interests, vocabulary_I: Texts) -> sparse.csr_array:
        """Return the sum over the user's interests of affinity times the item's share in the tag."""
        popularity = self.of_tags
        is_known_R = np.isin(interests.tag_R, popularity.tag_T)
        tag_R = np.searchsorted(popularity.tag_T, interests.tag_R[is_known_R])
        tags = len(popularity.tag_T)
        affinity_UT = sparse.csr_array(
            (interests.affinity_R[is_known_R], (interests.user_R[is_known_R], tag_R)), shape=(users, tags)
        )
        item_K = np.searchsorted(vocabulary_I, popularity.item_K.astype(str).astype(object))
        share_TI = sparse.csr_array((popularity.share_K, (popularity.tag_K, item_K)), shape=(tags, len(vocabulary_I)))
        return (affinity_UT @ share_TI).tocsr()

    def followed_K(self, history: History, user_K: Ints, item_K: Ints) -> Ints:
        """Return for each item the user's item that adds most to its votes of similar sessions; see `Vsknn.followed_N`.

        history: as for `pairs`. user_K: rising. item_K: items for which sessions vote.
        """
        is_kept_U = np.zeros(history.users, dtype=bool)
        is_kept_U[user_K] = True
        user_K = (np.cumsum(is_kept_U) - 1)[user_K]
        code_K = np.searchsorted(self.item_V, item_K.astype(str).astype(object))
        interactions = tag_interactions(self._indexed(of_items(history.of_users(is_kept_U))))
        followed = [np.empty(0, np.int64)]
        for number, batch in enumerate(interactions.batches(USERS_AT_ONCE)):
            first = number * USERS_AT_ONCE
            rows = slice(*np.searchsorted(user_K, (first, first + USERS_AT_ONCE)))
            followed.append(self.sessions.followed_N(batch, user_K[rows] - first, code_K[rows]))
        return np.asarray(self.item_V[np.concatenate(followed)].astype(np.int64))

    def _indexed(self, items: History) -> History:
        """Return the events with an item of the sessions that vote, coded as in them."""
        code_T, is_indexed_T = positions_in(items.tag_T, self.item_V)
        is_kept_M = is_indexed_T[items.tag_M]
        return replace(items, event_M=items.event_M[is_kept_M], tag_M=code_T[items.tag_M[is_kept_M]], tag_T=self.item_V)

    def _vote_UI(self, items: History, vocabulary_I: Texts) -> sparse.csr_array:
        """Return the votes of similar sessions, 0 to 1."""
        place_V = np.searchsorted(vocabulary_I, self.item_V)
        batches = tag_interactions(self._indexed(items)).batches(USERS_AT_ONCE)
        votes_UV = sparse.vstack([self.sessions.votes_BV(batch) for batch in batches], format="csr")
        return sparse.csr_array(
            (votes_UV.data, place_V[votes_UV.indices], votes_UV.indptr), shape=(items.users, len(vocabulary_I))
        )


@dataclass(frozen=True, eq=False)
class ItemPairs:
    """Candidates: items as codes of `item_I`, columns as ITEM_FEATURES."""

    pairs: Pairs
    item_I: Texts
    features_PF: Floats


def _best(value_UI: sparse.csr_array, count: int, excluded: Pairs) -> Ints:
    """Return the keys of the pairs of highest value of each user, without the excluded ones."""
    value_UI.sort_indices()
    user_Q = np.repeat(np.arange(value_UI.shape[0]), np.diff(value_UI.indptr))
    key_Q = user_Q * value_UI.shape[1] + value_UI.indices
    kept = np.flatnonzero(~np.isin(key_Q, excluded.key_P))
    best = top(count, user_Q[kept], value_UI.data[kept], key_Q[kept])
    return np.asarray(key_Q[kept[best]])


def _cells_P(value_UI: sparse.csr_array, pairs: Pairs) -> Floats:
    """Return the value of each pair; 0 where there is none."""
    value_UI.sort_indices()
    user_Q = np.repeat(np.arange(value_UI.shape[0]), np.diff(value_UI.indptr))
    at_P, is_there_P = Pairs(user_Q * value_UI.shape[1] + value_UI.indices, value_UI.shape[1]).find(pairs)
    cells_P = np.zeros(len(pairs))
    cells_P[is_there_P] = value_UI.data[at_P[is_there_P]]
    return cells_P
