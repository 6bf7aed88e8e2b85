"""The global split in time, and the test set of a cutoff."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from model.data.cutoffs import Cutoffs, evaluation_cutoffs, longest_horizon, min_days, training_cutoffs
from model.data.days import end_of_day
from model.data.folds import Histories, TrainingWindows, history_at
from model.data.history import history_of
from model.errors import InputError, UsageError
from model.evaluation.holdout import build_test_set, require_test_users

NEWEST = date(2026, 3, 31)
AS_OF = date(2026, 3, 24)


def test_train_lies_before_validation_and_validation_before_test() -> None:
    found = evaluation_cutoffs(AS_OF, 7, date(2026, 1, 1), NEWEST)
    assert found.train == (date(2026, 2, 17), date(2026, 2, 24), date(2026, 3, 3), date(2026, 3, 10))
    assert (found.validation, found.test, found.last) == (date(2026, 3, 17), AS_OF, NEWEST)
    assert found.ended_by(found.validation) == found.train
    assert found.ended_by(found.test) == (*found.train, found.validation)


@pytest.mark.parametrize("horizon_days", [1, 3, 7])
def test_no_window_reaches_into_the_next(horizon_days: int) -> None:
    found = evaluation_cutoffs(AS_OF, horizon_days, date(2026, 1, 1), NEWEST)
    assert len(found.train) == 4
    for earlier, later in zip(found.all, found.all[1:], strict=False):
        assert found.end_of(earlier) == later


def test_the_shortest_log_has_one_train_window_and_one_day_to_look_back_on() -> None:
    oldest = NEWEST - timedelta(days=min_days(7) - 1)
    found = evaluation_cutoffs(AS_OF, 7, oldest, NEWEST)
    assert found.train == (oldest,)
    assert found.end_of(found.train[0]) == found.validation


# days of history, horizon, train cutoffs as days of the log (the first is 1)
TRAIN_CUTOFFS = {
    "the shortest": (7, 22, [1]),
    "a week to look back on comes first": (7, 28, [7]),
    "then cutoffs a day apart": (7, 30, [7, 8, 9]),
    "then some days apart": (7, 37, [7, 10, 13, 16]),
    "a horizon apart": (7, 49, [7, 14, 21, 28]),
    "the newest of a long log": (7, 100, [58, 65, 72, 79]),
    "a horizon of a day, the shortest": (1, 4, [1]),
    "a horizon of a day": (1, 7, [1, 2, 3, 4]),
    "a long horizon looks back a week too": (28, 112, [7, 14, 21, 28]),
}


@pytest.mark.parametrize(("horizon_days", "days", "expected"), TRAIN_CUTOFFS.values(), ids=TRAIN_CUTOFFS.keys())
def test_train_cutoffs_lie_closer_together_where_the_history_is_short(
    horizon_days: int, days: int, expected: list[int]
) -> None:
    oldest = date(2026, 3, 1)
    found = training_cutoffs(oldest + timedelta(days=days - 1), oldest, horizon_days)
    assert [(cutoff - oldest).days + 1 for cutoff in found.train] == expected
    assert found.last == oldest + timedelta(days=days - 1)
    assert found.end_of(found.validation) == found.test
    assert all(found.end_of(cutoff) <= found.validation for cutoff in found.train)


@pytest.mark.parametrize(("days", "tests"), [(4, 1), (5, 1), (6, 2), (8, 3), (9, 3), (60, 3)])
def test_each_further_test_window_leaves_one_more_to_train_on(days: int, tests: int) -> None:
    oldest = date(2026, 3, 1)
    found = training_cutoffs(oldest + timedelta(days=days - 1), oldest, 1, test_windows=3)
    assert found.test_windows == tests
    assert found.last == oldest + timedelta(days=days - 1)
    assert [found.end_of(cutoff) for cutoff in found.tests] == [found.last - timedelta(days=n) for n in range(tests)][
        ::-1
    ]
    trained = found.ended_by(found.test)
    assert trained == (*found.train, found.validation)
    assert len(trained) >= min(tests, 5)
    if tests > 1:
        assert found.tested_days == f"the {tests} days through {found.last}, in {tests} windows"


@pytest.mark.parametrize(("days", "longest"), [(1, 0), (3, 0), (4, 1), (9, 2), (22, 7), (21, 6), (400, 28)])
def test_the_longest_horizon_is_the_longest_that_a_training_accepts(days: int, longest: int) -> None:
    assert longest_horizon(days) == longest
    last = NEWEST + timedelta(days=days - 1)
    if longest:
        assert training_cutoffs(last, NEWEST, longest).horizon_days == longest
    if longest < 28:
        says = f"set horizon_days to {longest} or less" if longest else "run more days"
        with pytest.raises(InputError, match=says):
            training_cutoffs(last, NEWEST, longest + 1)


@pytest.mark.parametrize(
    ("as_of", "oldest", "newest", "says"),
    [
        (
            AS_OF,
            date(2026, 3, 11),
            NEWEST,
            "found days in interest.sequences: 14, from 2026-03-11; expected 15 at least",
        ),
        (
            AS_OF,
            date(2026, 3, 11),
            NEWEST,
            "or evaluate as of 2026-03-25 at the earliest; or set horizon_days to 6 or less",
        ),
        (
            date(2026, 3, 25),
            date(2026, 1, 1),
            NEWEST,
            "needs the days through 2026-04-01, and the last day known is 2026-03-31",
        ),
        (date(2026, 3, 25), date(2026, 1, 1), NEWEST, "evaluate as of 2026-03-24 at the latest"),
        (AS_OF, None, None, "interest.sequences has no rows"),
    ],
)
def test_too_short_a_history_is_refused(as_of: date, oldest: date | None, newest: date | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        evaluation_cutoffs(as_of, 7, oldest, newest)


def test_the_earliest_day_that_an_error_names_is_accepted() -> None:
    assert evaluation_cutoffs(date(2026, 3, 25), 7, date(2026, 3, 11), date(2026, 4, 1)).train == (date(2026, 3, 11),)


@pytest.mark.parametrize("horizon_days", [0, 29])
def test_a_horizon_of_no_or_too_many_days_is_refused(horizon_days: int) -> None:
    with pytest.raises(UsageError, match=f"--horizon-days {horizon_days}: expected 1 to 28"):
        evaluation_cutoffs(AS_OF, horizon_days, date(2026, 1, 1), NEWEST)


def test_training_windows_have_ended(known: Histories, windows: Cutoffs) -> None:
    training_windows = TrainingWindows(known, windows)
    by_test = training_windows.by(known, windows.test)
    assert [window.cutoff for window in by_test] == [
        end_of_day(cutoff) for cutoff in (*windows.train, windows.validation)
    ]
    by_validation = training_windows.by(known, windows.validation)
    assert len(by_validation) == len(windows.train)
    assert by_validation == by_test[:-1]  # laid out once
    assert all(
        one is not other for one, other in zip(training_windows.by({**known}, windows.test), by_test, strict=True)
    )


TOUCHES = [
    ("ann", "2026-03-20 10:00", "tea jazz"),
    ("ann", "2026-03-26 10:00", "tea novel"),
    ("bob", "2026-03-21 10:00", "chess"),
    ("cid", "2026-03-26 10:00", "later"),
]


def small(sequences_of: Callable[..., Any]) -> tuple[Histories, Cutoffs]:
    windows = evaluation_cutoffs(AS_OF, 7, date(2026, 1, 1), NEWEST)
    before = [touch for touch in TOUCHES if touch[1] < "2026-03-25"]
    return {AS_OF: history_of(sequences_of(before)), NEWEST: history_of(sequences_of(TOUCHES))}, windows


def test_the_inputs_hold_nothing_of_the_answers(sequences_of: Callable[..., Any]) -> None:
    known, windows = small(sequences_of)
    test_set = build_test_set(known, windows, windows.test)
    for history in (test_set.past, test_set.all_users):
        assert history.tag_T.tolist() == ["chess", "jazz", "tea"]
        assert history.user_id_U.tolist() == ["ann", "bob"]
        assert history.at_E.max() < test_set.moment
        assert history.event_count_U.tolist() == [1, 1]
    assert test_set.past.tag_T[test_set.tag_H].tolist() == ["tea"]
    assert test_set.user_H.tolist() == [0]
    assert test_set.unknown_U.tolist() == [1, 0]
    assert test_set.answers_U.tolist() == [2, 0]
    assert test_set.has_returned_U.tolist() == [True, False]
    assert test_set.is_answer(np.array([[2, 0, 1], [2, 0, 1]])).tolist() == [
        [True, False, False],
        [False, False, False],
    ]


def test_tags_of_later_events_are_not_in_the_history_at_a_cutoff(sequences_of: Callable[..., Any]) -> None:
    """Even where a table's row as of a day should hold events after it."""
    history = history_of(sequences_of(TOUCHES))
    assert history_at({AS_OF: history}, AS_OF).tag_T.tolist() == ["chess", "jazz", "tea"]


def test_the_history_at_a_cutoff_ends_with_the_last_microsecond_of_its_day(sequences_of: Callable[..., Any]) -> None:
    midnight = datetime(2026, 3, 25, tzinfo=UTC)
    kept = midnight - timedelta(microseconds=1)
    history = history_of(sequences_of([("ann", kept, "tea"), ("ann", midnight, "later")]))
    past = history_at({AS_OF: history}, AS_OF)
    assert past.at_E.tolist() == [end_of_day(AS_OF) - 1]
    assert past.tag_T.tolist() == ["tea"]


def test_too_few_test_users_are_refused(sequences_of: Callable[..., Any]) -> None:
    known, windows = small(sequences_of)
    with pytest.raises(InputError, match=r"found 1 who were known on 2026-03-24 .* of 2 known; expected 50 at least"):
        require_test_users(build_test_set(known, windows, windows.test))
