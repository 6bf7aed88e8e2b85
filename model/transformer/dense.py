"""Many cuts from one past: what every user did in the window after each of them, as far as it was over by then.

Source: PinnerFormer (Pancha et al. 2022), the dense all-action loss.
"""

from collections.abc import Sequence

import numpy as np

from model.counts.lesson import Lesson, lesson
from model.history import History


def dense_lessons(taught: Sequence[Lesson], past: History, cuts_a_window: int) -> list[Lesson]:
    """Return lessons at the cuts of `taught` and at evenly spaced ones between them, oldest first.

    taught: oldest first; a cut between two of them is of the users of the later one, so that whoever is kept out of a
    window is kept out of all that reach into it. past: what was known when the last window was over, nothing later.
    cuts_a_window: how many cuts lie in the length of one window; 1 for windows that do not overlap.
    Raises ValueError if nothing is taught.
    """
    if not taught:
        raise ValueError("a network needs one window at least to learn from, found none: train through a later day")
    newest = taught[-1]
    horizon = newest.end - newest.cut
    cuts = sorted(range(newest.cut, taught[0].cut - 1, -(horizon // cuts_a_window)))
    later = np.searchsorted([one.cut for one in taught], cuts)
    return [_of_users(lesson(past, cut, cut + horizon), taught[at]) for cut, at in zip(cuts, later, strict=True)]


def _of_users(told: Lesson, of: Lesson) -> Lesson:
    is_kept_U = np.isin(told.past.user_id_U, of.past.user_id_U)
    return told if is_kept_U.all() else told.of_users(is_kept_U)
