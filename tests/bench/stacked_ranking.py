"""Boosted trees over decayed counts and over what other methods say: a ranking of rankings.

The mean of some forests, each of which sees other rows and features: trees that learn to rank few users differ much.
Sources: Wolpert 1992, stacked generalisation; Breiman 1996, bagging.

Shape letters: U users, T tags, P pairs of user and tag, F features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit

from model.boosting.features import features_PF
from model.boosting.model import usual_actions
from model.boosting.ranker import Examples, LambdaMart, margin_P, require_touched
from model.counts.candidates import candidates_of
from model.data.arrays import Floats, places_UT
from model.data.history import History
from model.data.labels import Lesson
from model.data.pairs import OwnTags, Pairs
from model.data.popularity import Popularity, popularity
from model.interfaces import Contestant, Ranker

FIRST = 20  # tags of each method that are candidates beside own and popular ones
FEW_TREES = 20
LEAST_STRENGTH = 1e-4  # whose logarithm is taken: what lies below is told apart by its place


@dataclass(frozen=True, eq=False)
class StackedRanker:
    """A Ranker."""

    forests: tuple[xgboost.Booster, ...]
    methods: tuple[Contestant, ...]
    said: tuple[Ranker, ...]  # the methods as of the cut
    actions: tuple[str, ...]  # counted one by one
    crowd: Popularity
    cut: int  # moment

    def as_of(self, past: History, cut: int) -> "StackedRanker":
        """Return what it is at another cut, with what it has learnt. past: everybody known then."""
        return replace(self, said=_prepared(self.methods, past, cut), crowd=popularity(past, cut), cut=cut)

    def strength_UT(self, past: History) -> Floats:
        """Return what the forests say of candidates, bent into 0 to 1; of all others less, by popularity."""
        asked = candidates_of(past, self.crowd)
        pairs, rows_PF = _rows(asked.past, asked.own, asked.pairs, asked.share_T, self.cut, self.said, self.actions)
        said_P = np.mean([margin_P(forest, rows_PF) for forest in self.forests], axis=0)
        return replace(asked, pairs=pairs).filled_up_UT(np.asarray(expit(said_P)))


@dataclass(frozen=True)
class StackedRanking:
    """A Contestant. methods: those that learn from the past alone, so that none has seen an answer it is asked for."""

    lambda_mart: LambdaMart
    forests: int
    methods: tuple[Contestant, ...]

    @property
    def name(self) -> str:
        return "stacked-ranking"

    @property
    def states_probabilities(self) -> bool:
        return False

    def settings(self) -> Mapping[str, Any]:
        return {
            **self.lambda_mart.settings(),
            "forests": self.forests,
            "methods": [{"name": method.name, **method.settings()} for method in self.methods],
        }

    def for_the_guard(self) -> "StackedRanking":
        """Return one forest of a few trees: all lessons and methods are read as for the whole stack."""
        return replace(self, forests=1, lambda_mart=replace(self.lambda_mart, trees=FEW_TREES))

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> StackedRanker:
        """Learn from all of `taught`, beside what the methods would have said then, of everybody.

        Raises ValueError if no lesson has a touched candidate.
        """
        require_touched(taught)
        actions = usual_actions(taught)
        examples = [self._examples(lesson, past.before(lesson.cut), actions) for lesson in taught]
        forests = tuple(self.lambda_mart.grow(examples, seed) for seed in range(self.forests))
        return StackedRanker(
            forests, self.methods, _prepared(self.methods, past, cut), actions, popularity(past, cut), cut
        )

    def _examples(self, lesson: Lesson, everybody: History, actions: tuple[str, ...]) -> Examples:
        said = _prepared(self.methods, everybody, lesson.cut)
        pairs, rows_PF = _rows(lesson.past, lesson.own, lesson.pairs, lesson.share_T, lesson.cut, said, actions)
        return Examples(rows_PF, np.isin(pairs.key_P, lesson.touched.key_P), pairs.user_P, lesson.past.users)


def _prepared(methods: Sequence[Contestant], past: History, cut: int) -> tuple[Ranker, ...]:
    return tuple(method.prepare((), past, cut) for method in methods)


def _rows(
    past: History,
    own: OwnTags,
    pairs: Pairs,
    share_T: Floats,
    cut: int,
    said: Sequence[Ranker],
    actions: tuple[str, ...],
) -> tuple[Pairs, Floats]:
    """Return the candidates, those of the methods included, and a row for each: counts, strengths and places."""
    strengths = [ranker.strength_UT(past) for ranker in said]
    places = [places_UT(strength_UT) for strength_UT in strengths]
    firsts = [np.flatnonzero(place_UT < FIRST) for place_UT in places]
    asked = Pairs(np.unique(np.concatenate([pairs.key_P, *firsts])), pairs.tags)
    told = [np.log(np.maximum(strength_UT, LEAST_STRENGTH)).ravel()[asked.key_P] for strength_UT in strengths]
    stands = [np.log1p(place_UT).ravel()[asked.key_P] for place_UT in places]
    counted_PF = features_PF(past, own, asked, share_T, cut, actions)
    return asked, np.column_stack([counted_PF, *told, *stands])
