"""Votes of similar sessions (V-SKNN) for pairs of a user and a tag, as features of boosted trees.

The sessions are those of the day that is scored, so no saved model holds the sessions of users.

Shape letters: U users of a batch, T tags of a history, P pairs of user and tag, S sessions.
"""

from dataclasses import dataclass

import numpy as np

from model.baselines.next_tag import NextTagBySessions, NextTagRanker
from model.baselines.vsknn import VsknnSettings
from model.data.arrays import Floats, Ints, places_UT
from model.data.history import History
from model.data.pairs import Pairs
from model.interfaces import TrainingData

OF_SESSIONS = ("log_session_vote", "log_session_place")
# The best on the validation day of Taobao among the grid of the evaluation.
METHOD = NextTagBySessions(
    VsknnSettings(neighbours=500, query_steps=50, extended_to=30, idf_power=1.0, reminder=0.5, reminder_fading=0.95)
)
MAX_SESSIONS = 10_000  # the newest ones; bounds time and memory
MIN_VOTE = 1e-4  # lower bound before the logarithm; lower votes differ by their place
CELLS_AT_ONCE = 4_000_000  # scores held in memory


@dataclass(frozen=True, eq=False)
class SessionVotes:
    """The newest sessions before a moment."""

    ranker: NextTagRanker

    @classmethod
    def before(cls, known: History, moment: int) -> "SessionVotes":
        """Return the votes of the sessions of all users of `known`, events at `moment` or later left out."""
        past = known.before(moment).newest_sessions(MAX_SESSIONS)
        return cls(METHOD.fit(TrainingData((), past, moment)))

    def columns_P2(self, past: History, pairs: Pairs) -> Floats:
        """Return one row per pair, columns as in OF_SESSIONS: the vote, and its place among those for all tags.

        A user's rows do not depend on the other users.
        """
        columns_P2 = np.empty((len(pairs), len(OF_SESSIONS)))
        at_once = max(1, CELLS_AT_ONCE // max(pairs.tags, 1))
        for first in range(0, past.users, at_once):
            is_in_batch_U = np.zeros(past.users, dtype=bool)
            is_in_batch_U[first : first + at_once] = True
            rows = slice(*np.searchsorted(pairs.user_P, (first, first + at_once)))
            cell: Ints = (pairs.user_P[rows] - first) * pairs.tags + pairs.tag_P[rows]
            votes_UT = self.ranker.scores_UT(past.of_users(is_in_batch_U))
            columns_P2[rows, 0] = np.log(np.maximum(votes_UT.ravel()[cell], MIN_VOTE))
            columns_P2[rows, 1] = np.log1p(places_UT(votes_UT).ravel()[cell])
        return columns_P2
