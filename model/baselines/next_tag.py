"""Baselines that predict the next item, applied to tags: `transition` and `vsknn`.

Shape letters: U users, B users of a batch, T tags in a query, V tags in the vocabulary of the fit, M touches.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from model.baselines.interactions import Interactions, tag_interactions
from model.baselines.transition import TransitionSettings, fit_transition
from model.baselines.vsknn import VsknnSettings, fit_vsknn
from model.counts.candidates import positions_in
from model.data.arrays import Floats, Texts
from model.data.history import History
from model.data.popularity import share_of_users_T
from model.interfaces import Model, TrainingData

USERS_AT_ONCE = 512
POPULARITY_HALF_LIFE_DAYS = 7.0
SHARE_OF_POPULARITY = 1e-6  # so small that it only breaks ties, such as between all tags of a user without a past


class NextItem(Protocol):
    """A fitted Transition or Vsknn."""

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        """Return a score of each item as the next one of each user of a batch."""


@dataclass(frozen=True, eq=False)
class NextTagRanker:
    """A FittedModel."""

    tag_V: Texts  # sorted
    share_V: Floats
    following: NextItem

    def scores_UT(self, past: History) -> Floats:
        """Return a score of each tag as the next one; a tag outside the vocabulary scores below all others."""
        place_T, is_known_T = positions_in(past.tag_T, self.tag_V)
        interactions = _of_tags(past, self.tag_V)
        scores_UT = np.empty((past.users, len(past.tag_T)))
        first = 0
        for batch in interactions.batches(USERS_AT_ONCE):
            scores_BV = self.following.scores_BV(batch) + SHARE_OF_POPULARITY * self.share_V
            unknown_B = scores_BV.min(axis=1, initial=0.0) - 1.0
            rows = slice(first, first + batch.users)
            scores_UT[rows, is_known_T] = scores_BV[:, place_T[is_known_T]]
            scores_UT[rows, ~is_known_T] = unknown_B[:, None]
            first += batch.users
        return scores_UT


@dataclass(frozen=True)
class NextTagByTransition(Model):
    """The method `transition`: a linear map from the tags of the last events to the next tag."""

    name: ClassVar[str] = "transition"
    predicts_probabilities: ClassVar[bool] = False
    transition: TransitionSettings

    def settings(self) -> Mapping[str, Any]:
        return asdict(self.transition)

    def fit(self, data: TrainingData) -> NextTagRanker:
        tag_V, share_V = _touched(data)
        return NextTagRanker(tag_V, share_V, fit_transition(_of_tags(data.past, tag_V), self.transition))


@dataclass(frozen=True)
class NextTagBySessions(Model):
    """The method `vsknn`: similar sessions vote for tags."""

    name: ClassVar[str] = "vsknn"
    predicts_probabilities: ClassVar[bool] = False
    vsknn: VsknnSettings

    def settings(self) -> Mapping[str, Any]:
        return asdict(self.vsknn)

    def fit(self, data: TrainingData) -> NextTagRanker:
        tag_V, share_V = _touched(data)
        return NextTagRanker(tag_V, share_V, fit_vsknn(_of_tags(data.past, tag_V), self.vsknn))


def _touched(data: TrainingData) -> tuple[Texts, Floats]:
    """Return the touched tags and their shares. The other names of the history may come from after the cutoff."""
    past = data.past
    is_touched_T = np.bincount(past.tag_M, minlength=len(past.tag_T)) > 0
    return past.tag_T[is_touched_T], share_of_users_T(past, data.cutoff, POPULARITY_HALF_LIFE_DAYS)[is_touched_T]


def _of_tags(past: History, tag_V: Texts) -> Interactions:
    """Return the interactions with the tags of the sorted `tag_V`."""
    interactions = tag_interactions(past)
    place_T, is_known_T = positions_in(past.tag_T, tag_V)
    known = interactions.of_events(is_known_T[interactions.item_N])
    return replace(known, items=len(tag_V), item_N=place_T[known.item_N])
