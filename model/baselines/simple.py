"""Baselines without training: recent popularity, the last session, decayed counts, and counts-1.

Shape letters: U users, T tags in a query, V tags in the vocabulary of the fit, P pairs of user and tag, M touches.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from model.counts.candidates import candidates_of, scores_of_tags
from model.counts.features import count
from model.counts.model import VERSION, Counts1Parameters, fit_parameters, untuned, untuned_for
from model.data.arrays import Floats, Texts
from model.data.days import HORIZON_DAYS
from model.data.history import History
from model.data.popularity import Popularity, fit_popularity, share_of_users_T
from model.interfaces import Model, TrainingData


@dataclass(frozen=True, eq=False)
class ShareRanker:
    """A FittedModel with the same scores for all users."""

    tag_V: Texts  # sorted
    share_V: Floats

    def scores_UT(self, past: History) -> Floats:
        """Return the share of each tag, 0 for an unknown one."""
        return np.tile(scores_of_tags(past.tag_T, self.tag_V, self.share_V, 0.0), (past.users, 1))


@dataclass(frozen=True)
class RecentPopularity(Model):
    """The method `popularity`: the tags that most users touched recently."""

    name: ClassVar[str] = "popularity"
    predicts_probabilities: ClassVar[bool] = False
    half_life_days: float

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData) -> ShareRanker:
        return ShareRanker(data.past.tag_T, share_of_users_T(data.past, data.cutoff, self.half_life_days))


@dataclass(frozen=True, eq=False)
class LastSessionRanker:
    """A FittedModel: tags of the last session first, then popular tags."""

    tag_V: Texts  # sorted
    share_V: Floats

    def scores_UT(self, past: History) -> Floats:
        """Return the touches of each tag in the last session; popularity breaks ties and ranks all other tags."""
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
    """The method `last-session`: what the user touched in the last session."""

    name: ClassVar[str] = "last-session"
    predicts_probabilities: ClassVar[bool] = False
    popularity_half_life_days: float

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData) -> LastSessionRanker:
        share_T = share_of_users_T(data.past, data.cutoff, self.popularity_half_life_days)
        return LastSessionRanker(data.past.tag_T, share_T)


@dataclass(frozen=True, eq=False)
class DecayedCountsRanker:
    """A FittedModel: the user's own tags by their decayed counts, then all others by popularity."""

    half_life_days: float
    popularity: Popularity
    cutoff: int  # moment

    def scores_UT(self, past: History) -> Floats:
        """Return 1 plus the count of own tags, and a part of the share of users for all others, below 1."""
        found = candidates_of(past, self.popularity)
        counts = count(found.past, found.own, found.pairs, self.cutoff, self.half_life_days)
        return found.filled_up_UT(np.where(counts.is_own_P, 1 + counts.count_P, found.share_T[found.pairs.tag_P] / 2))


@dataclass(frozen=True)
class DecayedCounts(Model):
    """The method `decayed-counts`: the simplest good ranking. A model that does not beat it is not worth its cost."""

    name: ClassVar[str] = "decayed-counts"
    predicts_probabilities: ClassVar[bool] = False
    half_life_days: float

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData) -> DecayedCountsRanker:
        return DecayedCountsRanker(self.half_life_days, fit_popularity(data.past, data.cutoff), data.cutoff)


@dataclass(frozen=True, eq=False)
class CountsRanker:
    """A FittedModel: the formula of counts-1 as of a cutoff."""

    fitted: Counts1Parameters
    popularity: Popularity
    cutoff: int  # moment

    def as_of(self, past: History, cutoff: int) -> "CountsRanker":
        """Return the same parameters at another cutoff. past: all users known then."""
        return replace(self, popularity=fit_popularity(past, cutoff), cutoff=cutoff)

    def scores_UT(self, past: History) -> Floats:
        """Return the affinity of own and popular tags; all other tags score below, by popularity."""
        candidates = candidates_of(past, self.popularity)
        return candidates.filled_up_UT(
            self.fitted.affinity_P(candidates.past, candidates.own, candidates.pairs, candidates.share_T, self.cutoff)
        )


@dataclass(frozen=True)
class OwnCounts(Model):
    """The method `counts-1`: decayed own counts and popularity."""

    name: ClassVar[str] = VERSION
    predicts_probabilities: ClassVar[bool] = True
    is_tuned: bool  # by the newest window; else the untuned parameters of counts-1

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def fit(self, data: TrainingData) -> CountsRanker:
        """Return counts-1 as of the cutoff; untuned where there is no window."""
        if data.windows:
            fitted = fit_parameters(data.windows[-1]) if self.is_tuned else untuned_for(data.windows[-1])
        else:
            fitted = untuned(HORIZON_DAYS)
        return CountsRanker(fitted, fit_popularity(data.past, data.cutoff), data.cutoff)
