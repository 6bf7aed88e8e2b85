"""Boosted trees over decayed counts and the scores of other models.

The mean of some forests on different samples of rows and features, since trees trained on few users vary much.
Sources: Wolpert 1992, stacked generalisation; Breiman 1996, bagging.

Shape letters: U users, T tags, P pairs of user and tag, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xgboost
from scipy.special import expit

from model.boosting.features import features_PF, usual_actions
from model.boosting.ranker import LambdaMart, RankingExamples, require_touched
from model.boosting.trees import margin_N
from model.counts.candidates import candidates_of
from model.data.arrays import Floats, places_UT
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.pairs import OwnTags, Pairs
from model.data.popularity import Popularity, fit_popularity
from model.interfaces import FittedModel, Model, TrainingData

FIRST = 20  # tags of each model that are candidates in addition to own and popular ones
FEW_TREES = 20
MIN_SCORE = 1e-4  # lower bound before the logarithm; lower scores differ by their place


@dataclass(frozen=True, eq=False)
class StackedRanker:
    """The fitted stack as of a cutoff."""

    forests: tuple[xgboost.Booster, ...]
    methods: tuple[Model, ...]
    fitted: tuple[FittedModel, ...]  # the models as of the cutoff
    actions: tuple[str, ...]  # counted separately
    popularity: Popularity
    cutoff: int  # moment

    def as_of(self, past: History, cutoff: int) -> "StackedRanker":
        """Return the same forests as of another cutoff. past: all users known then."""
        return replace(
            self, fitted=_fitted(self.methods, past, cutoff), popularity=fit_popularity(past, cutoff), cutoff=cutoff
        )

    def scores_UT(self, past: History) -> Floats:
        """Return the scores of the candidates, mapped into 0 to 1; all other tags score lower, by popularity."""
        candidates = candidates_of(past, self.popularity)
        pairs, rows_PF = _rows(
            candidates.past,
            candidates.own,
            candidates.pairs,
            candidates.share_T,
            self.cutoff,
            self.fitted,
            self.actions,
        )
        margin_mean_P = np.mean([margin_N(forest, rows_PF) for forest in self.forests], axis=0)
        return replace(candidates, pairs=pairs).filled_up_UT(np.asarray(expit(margin_mean_P)))


@dataclass(frozen=True)
class StackedRanking(Model):
    """Boosted trees over other models. methods: models that fit on the past alone, so none has seen a label."""

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
        """Return one forest of a few trees, which reads the same labels and models as the whole stack."""
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
            forests, self.methods, _fitted(self.methods, past, cutoff), actions, fit_popularity(past, cutoff), cutoff
        )

    def _examples(self, window: LabeledWindow, all_users: History, actions: tuple[str, ...]) -> RankingExamples:
        fitted = _fitted(self.methods, all_users, window.cutoff)
        pairs, rows_PF = _rows(window.past, window.own, window.pairs, window.share_T, window.cutoff, fitted, actions)
        return RankingExamples(rows_PF, np.isin(pairs.key_P, window.touched.key_P), pairs.user_P, window.past.users)


def _fitted(methods: Sequence[Model], past: History, cutoff: int) -> tuple[FittedModel, ...]:
    return tuple(method.fit(TrainingData((), past, cutoff)) for method in methods)


def _rows(
    past: History,
    own: OwnTags,
    pairs: Pairs,
    share_T: Floats,
    cutoff: int,
    fitted: Sequence[FittedModel],
    actions: tuple[str, ...],
) -> tuple[Pairs, Floats]:
    """Return the candidates, those of the methods included, and a row for each: counts, scores and places."""
    scores = [ranker.scores_UT(past) for ranker in fitted]
    places = [places_UT(scores_UT) for scores_UT in scores]
    firsts = [np.flatnonzero(place_UT < FIRST) for place_UT in places]
    candidates = Pairs(np.unique(np.concatenate([pairs.key_P, *firsts])), pairs.tags)
    log_scores = [np.log(np.maximum(scores_UT, MIN_SCORE)).ravel()[candidates.key_P] for scores_UT in scores]
    log_places = [np.log1p(place_UT).ravel()[candidates.key_P] for place_UT in places]
    counted_PF = features_PF(past, own, candidates, share_T, cutoff, actions)
    return candidates, np.column_stack([counted_PF, *log_scores, *log_places])
