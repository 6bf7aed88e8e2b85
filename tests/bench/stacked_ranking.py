"""Boosted trees over decayed counts and over what other methods say: a ranking of rankings.

The mean of some forests, each of which sees other rows and features: trees that learn to rank few users differ much.
Sources: Wolpert 1992, stacked generalisation; Breiman 1996, bagging.

Shape letters: U users, T tags, P pairs of user and tag, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xgboost
from scipy.special import expit

from model.boosting.features import features_PF
from model.boosting.model import usual_actions
from model.boosting.ranker import LambdaMart, RankingExamples, margin_P, require_touched
from model.counts.candidates import candidates_of
from model.data.arrays import Floats, places_UT
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.pairs import OwnTags, Pairs
from model.data.popularity import Popularity, fit_popularity
from model.interfaces import FittedModel, Model, TrainingData

FIRST = 20  # tags of each method that are candidates beside own and popular ones
FEW_TREES = 20
LEAST_STRENGTH = 1e-4  # whose logarithm is taken: what lies below is told apart by its place


@dataclass(frozen=True, eq=False)
class StackedRanker:
    """A Ranker."""

    forests: tuple[xgboost.Booster, ...]
    methods: tuple[Model, ...]
    said: tuple[FittedModel, ...]  # the methods as of the cut
    actions: tuple[str, ...]  # counted one by one
    popularity: Popularity
    cutoff: int  # moment

    def as_of(self, past: History, cutoff: int) -> "StackedRanker":
        """Return what it is at another cut, with what it has learnt. past: everybody known then."""
        return replace(
            self, said=_prepared(self.methods, past, cutoff), popularity=fit_popularity(past, cutoff), cutoff=cutoff
        )

    def scores_UT(self, past: History) -> Floats:
        """Return what the forests say of candidates, bent into 0 to 1; of all others less, by popularity."""
        asked = candidates_of(past, self.popularity)
        pairs, rows_PF = _rows(asked.past, asked.own, asked.pairs, asked.share_T, self.cutoff, self.said, self.actions)
        said_P = np.mean([margin_P(forest, rows_PF) for forest in self.forests], axis=0)
        return replace(asked, pairs=pairs).filled_up_UT(np.asarray(expit(said_P)))


@dataclass(frozen=True)
class StackedRanking(Model):
    """A Contestant. methods: those that learn from the past alone, so that none has seen an answer it is asked for."""

    name: ClassVar[str] = "stacked-ranking"
    predicts_probabilities: ClassVar[bool] = False
    lambda_mart: LambdaMart
    forests: int
    methods: tuple[Model, ...]

    def settings(self) -> Mapping[str, Any]:
        return {
            **self.lambda_mart.settings(),
            "forests": self.forests,
            "methods": [{"name": method.name, **method.settings()} for method in self.methods],
        }

    def for_leakage_check(self) -> "StackedRanking":
        """Return one forest of a few trees: all lessons and methods are read as for the whole stack."""
        return replace(self, forests=1, lambda_mart=replace(self.lambda_mart, trees=FEW_TREES))

    def fit(self, data: TrainingData) -> StackedRanker:
        """Fit to all windows and to the scores that the methods, fitted to all users, would have had then.

        Raises ValueError if no window has a touched candidate.
        """
        require_touched(data.windows)
        actions, past, cutoff = usual_actions(data.windows), data.past, data.cutoff
        examples = [self._examples(window, past.before(window.cutoff), actions) for window in data.windows]
        forests = tuple(self.lambda_mart.grow(examples, seed) for seed in range(self.forests))
        return StackedRanker(
            forests, self.methods, _prepared(self.methods, past, cutoff), actions, fit_popularity(past, cutoff), cutoff
        )

    def _examples(self, window: LabeledWindow, everybody: History, actions: tuple[str, ...]) -> RankingExamples:
        said = _prepared(self.methods, everybody, window.cutoff)
        pairs, rows_PF = _rows(window.past, window.own, window.pairs, window.share_T, window.cutoff, said, actions)
        return RankingExamples(rows_PF, np.isin(pairs.key_P, window.touched.key_P), pairs.user_P, window.past.users)


def _prepared(methods: Sequence[Model], past: History, cutoff: int) -> tuple[FittedModel, ...]:
    return tuple(method.fit(TrainingData((), past, cutoff)) for method in methods)


def _rows(
    past: History,
    own: OwnTags,
    pairs: Pairs,
    share_T: Floats,
    cutoff: int,
    said: Sequence[FittedModel],
    actions: tuple[str, ...],
) -> tuple[Pairs, Floats]:
    """Return the candidates, those of the methods included, and a row for each: counts, strengths and places."""
    strengths = [ranker.scores_UT(past) for ranker in said]
    places = [places_UT(scores_UT) for scores_UT in strengths]
    firsts = [np.flatnonzero(place_UT < FIRST) for place_UT in places]
    asked = Pairs(np.unique(np.concatenate([pairs.key_P, *firsts])), pairs.tags)
    told = [np.log(np.maximum(scores_UT, LEAST_STRENGTH)).ravel()[asked.key_P] for scores_UT in strengths]
    stands = [np.log1p(place_UT).ravel()[asked.key_P] for place_UT in places]
    counted_PF = features_PF(past, own, asked, share_T, cutoff, actions)
    return asked, np.column_stack([counted_PF, *told, *stands])
