"""Cohorts of users, and recall of repeated and new tags."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from model.data.cutoffs import Cutoffs, evaluation_cutoffs
from model.data.folds import Histories
from model.data.history import history_of
from model.evaluation.holdout import TestSet, build_test_set
from model.evaluation.metrics import cohorts, repeat_and_new_recall


def visits(user: str, sessions: int, events: int) -> list[tuple[str, str, str]]:
    """A session is a day; all events beyond one a day fall on the first."""
    days = [f"2026-03-{day + 1:02d} 10:00" for day in range(sessions)]
    return [(user, at, "tea") for at in [*days, *[days[0]] * (events - sessions)]]


@pytest.mark.parametrize(
    ("sessions", "events", "cohort"),
    [
        (1, 1, "cold"), (1, 2, "cold"), (1, 3, "1 session"), (1, 9, "1 session"), (2, 2, "2–4 sessions"),
        (4, 4, "2–4 sessions"), (5, 9, "5–9 sessions"), (9, 9, "5–9 sessions"), (10, 10, "10+ sessions"),
        (20, 40, "10+ sessions"),
    ],
)  # fmt: skip
def test_cohorts_go_by_sessions(sessions: int, events: int, cohort: str, sequences_of: Callable[..., Any]) -> None:
    found = cohorts(history_of(sequences_of(visits("ann", sessions, events))))
    assert [name for name, is_in_U in found.items() if is_in_U[0]] == [cohort]


def test_each_user_is_in_one_cohort(known: Histories, windows: Cutoffs) -> None:
    found = cohorts(build_test_set(known, windows, windows.test).past)
    assert (np.sum(list(found.values()), axis=0) == 1).all()


@pytest.fixture
def test_set(sequences_of: Callable[..., Any]) -> TestSet:
    """Ann returns to tea and jazz, and touches chess, new to her, and a tag new to all; Bob returns to chess."""
    before = [("ann", "2026-03-20 10:00", "tea jazz"), ("bob", "2026-03-20 10:00", "chess")]
    after = [("ann", "2026-03-26 10:00", "tea jazz chess later"), ("bob", "2026-03-26 10:00", "chess")]
    cutoff, end = date(2026, 3, 24), date(2026, 3, 31)
    known = {cutoff: history_of(sequences_of(before)), end: history_of(sequences_of(before + after))}
    return build_test_set(known, evaluation_cutoffs(cutoff, 7, date(2026, 1, 1), end), cutoff)


def test_recall_of_repeated_and_of_new_tags(test_set: TestSet) -> None:
    place_of = {(0, "tea"): 1, (0, "jazz"): 12, (0, "chess"): 3, (1, "chess"): 10}
    place_H = np.array(
        [place_of[user, test_set.past.tag_T[tag]] for user, tag in zip(test_set.user_H, test_set.tag_H, strict=True)]
    )
    repeat_U, new_U = repeat_and_new_recall(test_set, place_H, 10)
    assert repeat_U.tolist() == [0.5, 0.0]
    assert new_U[0] == 0.5  # chess is found, the tag new to all cannot be
    assert np.isnan(new_U[1])
