"""What everybody turned to of late, the same for all.

Shape letters: U users, T tags asked about, V tags learnt of.

What the user did in the last session, and nothing older.

Shape letters: U users, T tags asked about, V tags learnt of, M touches.

`counts-1` before the referee: decayed own counts and popularity. Shape letters: U users, T tags, P pairs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from model.counts.candidates import candidates_of, scores_of_tags
from model.counts.model import UNTUNED, VERSION, Counts1Parameters, fit_parameters
from model.data.arrays import Floats, Texts
from model.data.history import History
from model.data.popularity import Popularity, fit_popularity, share_of_users_T
from model.interfaces import Model, TrainingData


@dataclass(frozen=True, eq=False)
class ShareRanker:
    """A Ranker that says the same of everybody."""

    tag_V: Texts  # sorted
    share_V: Floats

    def scores_UT(self, past: History) -> Floats:
        """Return the share of each tag, 0 for one that nobody has touched."""
        return np.tile(scores_of_tags(past.tag_T, self.tag_V, self.share_V, 0.0), (past.users, 1))


@dataclass(frozen=True)
class RecentPopularity(Model):
    """A Contestant."""

    name: ClassVar[str] = "popularity"
    predicts_probabilities: ClassVar[bool] = False
    half_life_days: float

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData) -> ShareRanker:
        return ShareRanker(data.past.tag_T, share_of_users_T(data.past, data.cutoff, self.half_life_days))


@dataclass(frozen=True, eq=False)
class LastSessionRanker:
    """A Ranker: the crowd fills up what the last session leaves open."""

    tag_V: Texts  # sorted
    share_V: Floats

    def scores_UT(self, past: History) -> Floats:
        """Return how often the last session touched each tag; equals, and those it did not touch, by popularity."""
        less_than_a_touch_T = scores_of_tags(past.tag_T, self.tag_V, self.share_V, 0.0) / 2
        last_U = np.full(past.users, -1)
        np.maximum.at(last_U, past.user_E, past.session_E)
        user_M = past.user_E[past.event_M]
        is_last_M = past.session_E[past.event_M] == last_U[user_M]
        scores_UT = np.tile(less_than_a_touch_T, (past.users, 1))
        np.add.at(scores_UT, (user_M[is_last_M], past.tag_M[is_last_M]), 1.0)
        return scores_UT


@dataclass(frozen=True)
class LastSession(Model):
    """A Contestant."""

    name: ClassVar[str] = "last-session"
    predicts_probabilities: ClassVar[bool] = False
    popularity_half_life_days: float

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData) -> LastSessionRanker:
        share_T = share_of_users_T(data.past, data.cutoff, self.popularity_half_life_days)
        return LastSessionRanker(data.past.tag_T, share_T)


@dataclass(frozen=True, eq=False)
class CountsRanker:
    """A Ranker: the formula of counts-1 as of a cut."""

    fitted: Counts1Parameters
    popularity: Popularity
    cutoff: int  # moment

    def as_of(self, past: History, cutoff: int) -> "CountsRanker":
        """Return what it is at another cut, with what it has learnt. past: everybody known then."""
        return replace(self, popularity=fit_popularity(past, cutoff), cutoff=cutoff)

    def scores_UT(self, past: History) -> Floats:
        """Return the affinity of own and popular tags, of all others less, by popularity."""
        asked = candidates_of(past, self.popularity)
        return asked.filled_up_UT(
            self.fitted.affinity_P(asked.past, asked.own, asked.pairs, asked.share_T, self.cutoff)
        )


@dataclass(frozen=True)
class OwnCounts(Model):
    """A Contestant."""

    name: ClassVar[str] = VERSION
    predicts_probabilities: ClassVar[bool] = True
    is_tuned: bool  # by the newest window taught; else the parameters that counts-1 starts from

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData) -> CountsRanker:
        """Return counts-1 as of the cutoff; untuned where there is no window."""
        fitted = fit_parameters(data.windows[-1]) if self.is_tuned and data.windows else UNTUNED
        return CountsRanker(fitted, fit_popularity(data.past, data.cutoff), data.cutoff)
