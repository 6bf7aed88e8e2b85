"""Candidate pairs of a user and a tag, and scores for tags outside a model's vocabulary.

Shape letters: U users, T tags in a query, V tags in the vocabulary of a fitted model, P pairs of user and tag.
"""

from dataclasses import dataclass

import numpy as np

from model.counts.publish import AffinityOfPairs
from model.data.arrays import Bools, Floats, Ints, Texts
from model.data.history import History
from model.data.pairs import OwnTags, Pairs, candidates, own_tags
from model.data.popularity import Popularity


def positions_in(query_T: Texts, tag_V: Texts) -> tuple[Ints, Bools]:
    """Return the index of each query tag in the sorted `tag_V`, and whether it is there; if not, the index is void."""
    if not len(tag_V):
        return np.zeros(len(query_T), np.int64), np.zeros(len(query_T), bool)
    at_T = np.minimum(np.searchsorted(tag_V, query_T), len(tag_V) - 1)
    return at_T, np.asarray(tag_V[at_T] == query_T, dtype=bool)


def scores_of_tags(query_T: Texts, tag_V: Texts, value_V: Floats, otherwise: float) -> Floats:
    """Return the value of each query tag by its name; `otherwise` for one not in the sorted `tag_V`."""
    at_T, is_known_T = positions_in(query_T, tag_V)
    value_T = np.full(len(query_T), otherwise)
    value_T[is_known_T] = value_V[at_T[is_known_T]]
    return value_T


@dataclass(frozen=True, eq=False)
class Candidates:
    """The own tags of some users and the popular ones, which are all that a model of pairs scores."""

    past: History  # with every tag of the query and every popular one
    own: OwnTags
    pairs: Pairs
    share_T: Floats  # of the tags of `past`
    is_query_T: Bools

    def filled_up_UT(self, probability_P: Floats) -> Floats:
        """Return a score for every user and query tag.

        Candidates have their probability. All others rank below the user's lowest candidate, by popularity.
        """
        least_U = np.ones(self.past.users)
        np.minimum.at(least_U, self.pairs.user_P, probability_P)
        scores_UT = least_U[:, None] * (self.share_T / 2)
        scores_UT[self.pairs.user_P, self.pairs.tag_P] = probability_P
        return scores_UT[:, self.is_query_T]


def candidates_of(past: History, popularity: Popularity) -> Candidates:
    """Return the candidates of every user of `past`."""
    tag_T = np.union1d(past.tag_T, popularity.tag_T)
    known = past.with_vocabulary(tag_T)
    own = own_tags(known)
    return Candidates(
        past=known,
        own=own,
        pairs=candidates(own, known.users, np.searchsorted(tag_T, popularity.popular_tags())),
        share_T=popularity.share_of(tag_T),
        is_query_T=positions_in(tag_T, past.tag_T)[1],
    )


# A tag that is no candidate is never published. It ranks below all candidates, by popularity, at about 0.
NEGLIGIBLE_SCORE = 1e-9


@dataclass(frozen=True, eq=False)
class AffinityRanker:
    """A FittedModel made of the affinities that a profile would publish."""

    affinity_of: AffinityOfPairs
    popularity: Popularity
    end: int  # moment

    def scores_UT(self, past: History) -> Floats:
        """Return the affinity of own and popular tags, and about 0 for all others."""
        found = candidates_of(past.before(self.end), self.popularity)
        affinity_P = self.affinity_of(found.past, found.own, found.pairs, found.share_T, self.end)
        scores_UT = np.tile(NEGLIGIBLE_SCORE * found.share_T, (past.users, 1))
        scores_UT[found.pairs.user_P, found.pairs.tag_P] = affinity_P
        return scores_UT[:, found.is_query_T]
