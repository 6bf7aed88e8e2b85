from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from model.boosting.returning import FEATURES, ReturnBoosting, return_features_UF
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import LabeledWindow, label_window
from model.metrics import expected_calibration_error

SequencesOf = Callable[..., pa.Table]
WEEK = 7 * MICROS_PER_DAY


@pytest.fixture(scope="module")
def weeks(world: Any) -> list[LabeledWindow]:
    """Return three weeks in a row, the last of them the newest of the log."""
    history = history_of(world.until(world.last_day))
    cutoffs = [end_of_day(world.last_day) - number * WEEK for number in (3, 2, 1)]
    return [label_window(history, cutoff, cutoff + WEEK) for cutoff in cutoffs]


def test_a_feature_counts_what_its_name_says(sequences_of: SequencesOf) -> None:
    cutoff = end_of_day(date(2026, 1, 30))
    history = history_of(
        sequences_of(
            [
                ("ann", "2026-01-01 00:00", "tea"),
                ("ann", "2026-01-29 00:00", "tea"),
                ("ann", "2026-01-29 12:00", "tea"),
                ("ann", "2026-01-30 00:00", "tea"),
                ("bob", "2026-01-27 00:00", "tea"),
            ]
        )
    )
    ann, bob = (dict(zip(FEATURES, row, strict=True)) for row in return_features_UF(history, cutoff).tolist())
    assert (ann["days_since_last_event"], bob["days_since_last_event"]) == (1, 4)
    assert (ann["days_since_first_event"], bob["days_since_first_event"]) == (14, 4)
    assert ann["log_events_0.5d"] == pytest.approx(np.log1p(2**-2 + 2**-3 + 2**-4))
    assert ann["log_sessions_0.5d"] == pytest.approx(np.log1p(2**-2 + 2**-3))
    assert (ann["log_session_count"], bob["log_session_count"]) == pytest.approx((np.log1p(2), np.log1p(1)))
    assert (ann["days_with_an_event"], bob["days_with_an_event"]) == (2, 1)


def test_the_probability_tells_who_comes_back_and_how_surely(weeks: list[LabeledWindow], world: Any) -> None:
    *training, asked = weeks
    probability_U = ReturnBoosting(trees=40).fit(training).return_probability_U(asked.past, asked.cutoff)
    truth_U = [1 - np.exp(-7 * sum(world.touches_a_day[user].values())) for user in asked.past.user_id_U]
    assert roc_auc_score(asked.has_returned_U, probability_U) > 0.75
    assert expected_calibration_error(probability_U, np.array(truth_U), bins=5) < 0.06


def test_a_user_alone_gets_the_probability_of_the_batch_and_a_refit_the_same(weeks: list[LabeledWindow]) -> None:
    *training, asked = weeks
    fitted = ReturnBoosting(trees=10).fit(training)
    batch_U = fitted.return_probability_U(asked.past, asked.cutoff)
    for user in range(0, asked.past.users, 67):
        alone = asked.past.of_users(np.arange(asked.past.users) == user)
        assert fitted.return_probability_U(alone, asked.cutoff).tolist() == [batch_U[user]]
    no_users = asked.past.of_users(np.zeros(asked.past.users, bool))
    assert fitted.return_probability_U(no_users, asked.cutoff).tolist() == []
    again_U = ReturnBoosting(trees=10).fit(training).return_probability_U(asked.past, asked.cutoff)
    np.testing.assert_array_equal(again_U, batch_U)


def test_what_comes_after_the_cutoff_changes_no_probability(weeks: list[LabeledWindow], world: Any) -> None:
    *training, asked = weeks
    until_the_cutoff = history_of(world.until(date.fromordinal(world.last_day.toordinal() - 7)))
    fitted = ReturnBoosting(trees=10).fit(training)
    probability_U = fitted.return_probability_U(until_the_cutoff, asked.cutoff)
    np.testing.assert_array_equal(probability_U, fitted.return_probability_U(asked.past, asked.cutoff))


def test_where_all_users_did_the_same_that_is_the_probability_and_no_users_are_refused(
    sequences_of: SequencesOf,
) -> None:
    cutoff = end_of_day(date(2026, 1, 30))
    log = [(f"u{user}", f"2026-01-{day:02d} 12:00", "tea") for user in range(3) for day in (29, 31)]
    history = history_of(sequences_of(log))
    all_came = ReturnBoosting().fit([label_window(history, cutoff, cutoff + WEEK)])
    assert all_came.return_probability_U(history.before(cutoff), cutoff).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="found 1 windows with 0 users"):
        ReturnBoosting().fit([label_window(history, cutoff - 30 * MICROS_PER_DAY, cutoff)])
