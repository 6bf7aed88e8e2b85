"""The tokens of a small history, compared with values by hand."""

from typing import Any

import numpy as np
import pytest

from model.data.history import history_of
from model.transformer.tokens import END, EVENT, NUMBERS, START, Vocabulary, token_batch, tokenize


@pytest.fixture
def two_users(sequences_of: Any) -> Any:
    """Anna comes on Monday with two events and on Wednesday with one; Ben comes once. The item 9 is Ben's alone."""
    return history_of(
        sequences_of(
            [
                ("anna", "2026-03-02T09:00:00", "tea cups", 5),
                ("anna", "2026-03-02T09:10:00", "tea", 6, 1.0, "like"),
                ("anna", "2026-03-04T18:00:00", "", 5),
                ("ben", "2026-03-03T00:00:00", "cups", 9),
            ]
        )
    )


def test_each_session_is_between_its_start_and_end_token(two_users: Any) -> None:
    tokens = tokenize(two_users, Vocabulary.of(two_users))
    assert tokens.kind_N.tolist() == [START, EVENT, EVENT, END, START, EVENT, END, START, EVENT, END]
    assert tokens.user_N.tolist() == [0] * 7 + [1] * 3
    assert tokens.session_N.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert tokens.position_N.tolist() == [0, 1, 2, 3, 0, 1, 2, 0, 1, 2]
    assert tokens.item_N.tolist() == [0, 1, 2, 0, 0, 1, 0, 0, 3, 0]
    assert tokens.action_N.tolist() == [0, 2, 1, 0, 0, 2, 0, 0, 2, 0]
    assert [sorted(row) for row in tokens.tag_NG.tolist()][1:3] == [[1, 2], [0, 2]]
    assert set(tokens.session_id_N[:4]) == {"anna:2026-03-02"}


def test_token_numbers_are_gaps_session_length_duration_and_clock(two_users: Any) -> None:
    tokens = tokenize(two_users, Vocabulary.of(two_users))
    number = {name: tokens.number_NF[:, column] for column, name in enumerate(NUMBERS)}
    minutes, hours = 60, 3600
    to_wednesday = (2 * 24 + 9) * hours - 10 * minutes
    assert np.expm1(number["log_gap"][[1, 2, 4, 5]]) == pytest.approx([0, 10 * minutes, to_wednesday, 0])
    assert np.expm1(number["log_events"][[2, 3, 6]]) == pytest.approx([0, 2, 1])
    assert np.expm1(number["log_duration"][[3, 6]]) == pytest.approx([10 * minutes, 0])
    assert (number["sin_hour"][0], number["cos_hour"][7]) == pytest.approx((np.sin(2 * np.pi * 9 / 24), 1))
    monday = number["sin_weekday"][0], number["cos_weekday"][0]
    assert monday == pytest.approx((np.sin(2 * np.pi * 0.375 / 7), np.cos(2 * np.pi * 0.375 / 7)), abs=0.4)


def test_without_session_tokens_there_are_only_events(two_users: Any) -> None:
    tokens = tokenize(two_users, Vocabulary.of(two_users), has_session_tokens=False)
    assert tokens.kind_N.tolist() == [EVENT] * 4
    assert tokens.session_N.tolist() == [0, 0, 1, 0]


def test_an_unknown_name_has_code_0(two_users: Any) -> None:
    anna = two_users.of_users(np.array([True, False]))
    tokens = tokenize(two_users, Vocabulary.of(anna))
    assert tokens.item_N[tokens.user_N == 1].tolist() == [0, 0, 0]


def test_a_vocabulary_is_restored_from_json(two_users: Any) -> None:
    vocabulary = Vocabulary.of(two_users)
    assert vocabulary.items.tolist() == [5, 6, 9]
    again = Vocabulary.from_json(vocabulary.as_json())
    assert (again.items.tolist(), again.tags.tolist(), again.actions.tolist()) == (
        vocabulary.items.tolist(), vocabulary.tags.tolist(), vocabulary.actions.tolist(),
    )  # fmt: skip


def test_a_batch_keeps_the_newest_tokens(two_users: Any) -> None:
    tokens = tokenize(two_users, Vocabulary.of(two_users))
    batch = token_batch(tokens, np.array([1, 0]), [[0], [0]], max_tokens=4)
    assert batch.kind_BL.tolist() == [[START, EVENT, END, 0], [END, START, EVENT, END]]


def test_a_user_without_tokens_is_refused(two_users: Any) -> None:
    later = two_users.since(int(two_users.at_E[two_users.user_E == 1][0]) + 1)
    tokens = tokenize(later, Vocabulary.of(two_users))
    with pytest.raises(
        ValueError, match=r"users \[1\] of 2 have no tokens: expected at least one event before the cutoff"
    ):
        token_batch(tokens, np.array([0, 1]), [[0], [0]], max_tokens=4)
