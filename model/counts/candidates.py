"""From the tags that a baseline has learnt of to those that it is asked about.

Shape letters: U users, T tags asked about, V tags learnt of, P pairs of user and tag.

A model of candidate pairs before the referee. Shape letters: U users, P pairs of user and tag, T tags.
"""

from dataclasses import dataclass

import numpy as np

from model.counts.publish import AffinityOfPairs
from model.data.arrays import Bools, Floats, Ints, Texts
from model.data.history import History
from model.data.pairs import OwnTags, Pairs, candidates, own_tags
from model.data.popularity import Popularity


def positions_in(asked_T: Texts, tag_V: Texts) -> tuple[Ints, Bools]:
    """Return the place of each asked tag in the sorted `tag_V`, and whether it is there; if not, the place is void."""
    if not len(tag_V):
        return np.zeros(len(asked_T), np.int64), np.zeros(len(asked_T), bool)
    at_T = np.minimum(np.searchsorted(tag_V, asked_T), len(tag_V) - 1)
    return at_T, np.asarray(tag_V[at_T] == asked_T, dtype=bool)


def scores_of_tags(asked_T: Texts, tag_V: Texts, value_V: Floats, otherwise: float) -> Floats:
    """Return the value of each asked tag by its name; `otherwise` for one not in the sorted `tag_V`."""
    at_T, is_known_T = positions_in(asked_T, tag_V)
    value_T = np.full(len(asked_T), otherwise)
    value_T[is_known_T] = value_V[at_T[is_known_T]]
    return value_T


@dataclass(frozen=True, eq=False)
class Candidates:
    """The own tags of some users and the popular ones: what a model of pairs is asked about."""

    past: History  # with every tag that was asked about or is popular
    own: OwnTags
    pairs: Pairs
    share_T: Floats  # of the tags of `past`
    is_asked_T: Bools

    def filled_up_UT(self, probability_P: Floats) -> Floats:
        """Return a strength for every user and asked tag.

        Candidates have their probability. All others stand below the least of the user's candidates, by popularity.
        """
        least_U = np.ones(self.past.users)
        np.minimum.at(least_U, self.pairs.user_P, probability_P)
        scores_UT = least_U[:, None] * (self.share_T / 2)
        scores_UT[self.pairs.user_P, self.pairs.tag_P] = probability_P
        return scores_UT[:, self.is_asked_T]


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
        is_asked_T=positions_in(tag_T, past.tag_T)[1],
    )


# A tag that is no candidate is never published. It stands below all candidates, by popularity, at next to nothing.
NEGLIGIBLE_SCORE = 1e-9


@dataclass(frozen=True, eq=False)
class AffinityRanker:
    """A Ranker from what a model that publishes profiles says of its candidate pairs."""

    affinity_of: AffinityOfPairs
    popularity: Popularity
    end: int  # moment

    def scores_UT(self, past: History) -> Floats:
        """Return the affinity of own and popular tags, and next to nothing for the others."""
        asked = candidates_of(past.before(self.end), self.popularity)
        affinity_P = self.affinity_of(asked.past, asked.own, asked.pairs, asked.share_T, self.end)
        scores_UT = np.tile(NEGLIGIBLE_SCORE * asked.share_T, (past.users, 1))
        scores_UT[asked.pairs.user_P, asked.pairs.tag_P] = affinity_P
        return scores_UT[:, asked.is_asked_T]
