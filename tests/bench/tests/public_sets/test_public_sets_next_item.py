"""Leave one out: what is task, what is hidden, and the place of the right item."""

from math import log2

import numpy as np
import pytest
from numpy.typing import NDArray

import tests.bench.public_sets.next_item as next_item
from model.baselines.interactions import Interactions
from model.data.arrays import Floats
from tests.bench.public_sets.next_item import TEST, VALIDATION, hits_U, leave_one_out, ndcg_U, newest, ranks_U


def interactions_of(*items_of_users: list[int], items: int) -> Interactions:
    user_N = np.repeat(np.arange(len(items_of_users)), [len(one) for one in items_of_users])
    return Interactions(
        users=len(items_of_users),
        items=items,
        user_N=user_N,
        item_N=np.concatenate([np.array(one) for one in items_of_users]),
        at_N=np.concatenate([np.arange(len(one)) for one in items_of_users]),
        session_N=user_N,
    )


class ConstantRanker:
    """A ranker with the same scores for all users, which records its inputs."""

    def __init__(self, *scores: float) -> None:
        self.score_V = np.array(scores)
        self.shown: list[Interactions] = []

    def scores_BV(self, interactions: Interactions) -> Floats:
        self.shown.append(interactions)
        return np.tile(self.score_V, (interactions.users, 1))


def test_the_target_of_the_test_is_the_last_step_and_its_history_has_the_validation_target() -> None:
    interactions = interactions_of([4, 2, 0, 1], [3, 1, 2], items=5)
    test, validation = leave_one_out(interactions, TEST), leave_one_out(interactions, VALIDATION)
    assert test.target_U.tolist() == [1, 2] and validation.target_U.tolist() == [0, 1]
    assert test.past.item_N.tolist() == [4, 2, 0, 3, 1] and test.past.user_N.tolist() == [0, 0, 0, 1, 1]
    assert validation.past.item_N.tolist() == [4, 2, 3]


def test_a_user_with_too_few_steps_is_refused() -> None:
    interactions = interactions_of([0, 1], [2, 1, 0], items=3)
    assert leave_one_out(interactions, TEST).users == 2
    with pytest.raises(ValueError, match="a user has 2 steps, expected 3 at least"):
        leave_one_out(interactions, VALIDATION)


def test_seen_items_are_not_ranked_and_ties_count_against_the_target() -> None:
    interactions = interactions_of([0, 1, 2], [3, 4, 2], [0, 3, 1], items=5)
    # Item 2 has two equals and two stronger ones, of which the first user has seen both, the second user one equal.
    ranker = ConstantRanker(9, 8, 5, 5, 5)
    assert ranks_U(ranker, leave_one_out(interactions, TEST), 50).tolist() == [3, 3, 1]


def test_a_target_that_was_seen_before_is_ranked() -> None:
    assert ranks_U(ConstantRanker(3, 2, 1), leave_one_out(interactions_of([0, 1, 1], items=3), TEST), 50).tolist() == [
        1
    ]


def test_a_ranker_reads_the_newest_steps_and_older_ones_still_count_as_seen() -> None:
    ranker = ConstantRanker(9, 8, 7, 1)
    assert ranks_U(ranker, leave_one_out(interactions_of([0, 1, 2, 3], items=4), TEST), most=2).tolist() == [1]
    assert ranker.shown[0].item_N.tolist() == [1, 2]
    assert newest(interactions_of([0, 1, 2], [3], items=4), 2).item_N.tolist() == [1, 2, 3]


def test_the_size_of_a_batch_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    interactions = interactions_of(
        *(random.permutation(30)[: random.integers(2, 12)].tolist() for _ in range(17)), items=30
    )
    scores = random.integers(0, 4, 30).tolist()
    task = leave_one_out(interactions, TEST)
    whole = ConstantRanker(*scores)
    expected = ranks_U(whole, task, 50)
    assert len(whole.shown) == 1
    monkeypatch.setattr(next_item, "CELLS_AT_ONCE", 5 * 30)
    parts = ConstantRanker(*scores)
    assert ranks_U(parts, task, 50).tolist() == expected.tolist()
    assert [one.users for one in parts.shown] == [5, 5, 5, 2]


def test_ranks_are_those_of_a_loop_over_users_and_items() -> None:
    random = np.random.default_rng(2)
    interactions = interactions_of(*(random.permutation(20)[:6].tolist() for _ in range(40)), items=20)
    scores_UV = random.integers(0, 6, (40, 20)).astype(float)

    class KnownRanker:
        def scores_BV(self, interactions: Interactions) -> NDArray[np.float64]:
            return scores_UV

    task = leave_one_out(interactions, TEST)
    for user, rank in enumerate(ranks_U(KnownRanker(), task, 50).tolist()):
        seen, target = set(task.past.item_N[task.past.user_N == user].tolist()), int(task.target_U[user])
        rivals = [item for item in range(20) if item not in seen and item != target]
        assert rank == 1 + sum(scores_UV[user, item] >= scores_UV[user, target] for item in rivals)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="a score is nan"):
        ranks_U(ConstantRanker(1, float("nan"), 0), leave_one_out(interactions_of([0, 2], items=3), TEST), 50)


def test_metrics_of_a_rank_follow_their_definitions() -> None:
    rank_U = np.array([1, 2, 10, 11])
    assert hits_U(rank_U).tolist() == [1.0, 1.0, 1.0, 0.0]
    assert ndcg_U(rank_U).tolist() == pytest.approx([1.0, 1 / log2(3), 1 / log2(11), 0.0])
