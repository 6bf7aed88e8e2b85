"""Judges models on a week that none of them has seen.

Shape letters: U judged users, R interests (a user's together, by rank), T tags.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.arrays import Bools, Floats
from model.bootstrap import Difference, paired_difference
from model.counts.lesson import Lesson
from model.errors import InputError
from model.metrics import (
    expected_calibration_error,
    f1_of_users,
    mean_of_the_defined,
    ndcg_of_users,
    recall_of_users,
)
from model.scorer import Scorer, Scores

FEWEST_JUDGED = 50  # users who touched a tag in the week; of fewer no interval means much


@dataclass(frozen=True, eq=False)
class Judged:
    """How one model did. The ranking figures are means over the users who touched a tag in the week."""

    name: str
    ndcg_U: Floats  # at 10; nan for a user who touched nothing
    recall_at_10: float
    f1_at_5: float
    ece: float  # of what is published of all judged users, ten interests at most

    @property
    def ndcg_at_10(self) -> float:
        return mean_of_the_defined(self.ndcg_U)

    def figures(self) -> dict[str, float]:
        return {
            "ndcg_at_10": self.ndcg_at_10,
            "recall_at_10": self.recall_at_10,
            "f1_at_5": self.f1_at_5,
            "ece": self.ece,
        }


@dataclass(frozen=True, eq=False)
class Verdict:
    """A challenger against the best of its opponents."""

    challenger: Judged
    opponents: tuple[Judged, ...]
    best: Judged
    difference: Difference  # nDCG@10 of the challenger less that of the best opponent

    @property
    def is_won(self) -> bool:
        return self.difference.low > 0

    def as_json(self) -> dict[str, Any]:
        return {
            "figures": {judged.name: judged.figures() for judged in (self.challenger, *self.opponents)},
            "best_opponent": self.best.name,
            "ndcg_at_10_difference": asdict(self.difference),
            "is_won": self.is_won,
        }


def require_judges(week: Lesson) -> None:
    """Raise InputError if too few users touched a tag in the week to judge by them."""
    judges = int((week.touched_tags_U > 0).sum())
    if judges < FEWEST_JUDGED:
        raise InputError(
            f"too few users to judge a model by: found {judges} who were known before the last 7 days and touched a "
            f"tag in them, of {week.past.users} known; expected {FEWEST_JUDGED} at least; train through a busier day, "
            f"or check why these days have so few events"
        )


def judge(name: str, scorer: Scorer, week: Lesson) -> Judged:
    """Judge a model as of the cut of `week` by what it would have published then."""
    scores = scorer.score(week.past)
    is_touched_R = _is_touched_R(scores, week)
    ranking = (scores.user_R, scores.affinity_R, scores.tag_R, is_touched_R, week.touched_tags_U)
    return Judged(
        name=name,
        ndcg_U=ndcg_of_users(10, *ranking),
        recall_at_10=mean_of_the_defined(recall_of_users(10, *ranking)),
        f1_at_5=mean_of_the_defined(f1_of_users(5, *ranking)),
        ece=expected_calibration_error(scores.affinity_R, is_touched_R),
    )


def verdict(challenger: Judged, opponents: Sequence[Judged]) -> Verdict:
    """Compare with the opponent of the highest nDCG@10, the first of equals. All were judged on the same users."""
    best = max(opponents, key=lambda judged: judged.ndcg_at_10)
    return Verdict(challenger, tuple(opponents), best, paired_difference(challenger.ndcg_U, best.ndcg_U))


def _is_touched_R(scores: Scores, week: Lesson) -> Bools:
    tag_T = week.past.tag_T
    code_R = np.minimum(np.searchsorted(tag_T, scores.tag_R), len(tag_T) - 1)
    is_known_R = tag_T[code_R] == scores.tag_R
    return np.asarray(is_known_R & np.isin(scores.user_R * len(tag_T) + code_R, week.touched.key_P), dtype=bool)
