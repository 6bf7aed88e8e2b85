"""How fast interests fade, found by which half-life ranks best."""

import numpy as np

from model.counts.features import count
from model.counts.lesson import Lesson
from model.counts.parameters import UNTUNED_HALF_LIFE_DAYS
from model.metrics import ndcg_at

HALF_LIVES_DAYS = (0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 28.0)


def best_half_life(lesson: Lesson) -> float:
    """Return the half-life of which the own counts, filled up by popularity, rank the touched tags best (nDCG@10).

    The shortest of equals; UNTUNED_HALF_LIFE_DAYS where no user has both a past and a touched tag.
    """
    if not lesson.touched_tags_U.any():
        return UNTUNED_HALF_LIFE_DAYS
    return max(HALF_LIVES_DAYS, key=lambda half_life_days: _ndcg(lesson, half_life_days))


def _ndcg(lesson: Lesson, half_life_days: float) -> float:
    counts = count(lesson.past, lesson.own, lesson.pairs, lesson.cut, half_life_days)
    below_own = 2.0  # a share is about 1 at most, so every popular tag stands behind every own one
    strength_P = np.where(counts.is_own_P, counts.count_P, lesson.share_T[lesson.pairs.tag_P] - below_own)
    return ndcg_at(10, lesson.pairs.user_P, strength_P, lesson.pairs.tag_P, lesson.is_touched_P, lesson.touched_tags_U)
