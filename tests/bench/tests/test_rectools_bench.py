"""The bench with RecTools: places in lists, the input file, and turns."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.baselines.interactions import Interactions
from tests.bench.item_net_worker import best_UK, interactions
from tests.bench.rectools_comparison import TrainingCourse, compared, markdown
from tests.bench.workers import Steps, Worker, WorkerInput, places_U

WORKER = """
import numpy as np
from tests.bench.workers import Turns
turns = Turns()
print("output of a library is no answer")
turns.ready({"settings": {}})
for epoch, file in zip(range(2), turns.files()):
    turns.done(file, np.array([[epoch, 5]]), {"epoch_seconds": 2.0, "tokens": 30, "scoring_seconds": 0.5})
"""


def steps(lives: Sequence[Sequence[int]]) -> Steps:
    user_N = np.repeat(np.arange(len(lives)), [len(life) for life in lives])
    return Steps(user_N, np.array([item for life in lives for item in life]))


class Rising:
    """Scores an item by its number."""

    def scores_BV(self, interactions: Interactions) -> NDArray[np.float64]:
        return np.tile(np.arange(interactions.items, dtype=float), (interactions.users, 1))


def test_the_place_of_a_target_counts_from_1_and_lies_behind_a_list_without_it() -> None:
    assert places_U(np.array([[3, 1, 2], [3, 1, 2], [3, -1, -1]]), np.array([3, 2, 7])).tolist() == [1, 3, 4]


def test_a_list_may_not_name_an_item_twice() -> None:
    with pytest.raises(ValueError, match="the list of user 1 names an item twice"):
        places_U(np.array([[1, 2, 3], [4, 2, 4]]), np.array([1, 1]))


def test_the_input_file_keeps_all_steps(tmp_path: Path) -> None:
    worker_input = WorkerInput(2, 9, steps([[1, 2], [3]]), steps([[1, 2, 4], [3, 8]]))
    worker_input.save(tmp_path / "worker_input.npz")
    got = WorkerInput.load(tmp_path / "worker_input.npz")
    assert (got.users, got.items, got.known.item_N.tolist()) == (2, 9, [1, 2, 4, 3, 8])
    assert got.train.user_N.tolist() == [0, 0, 1]
    assert interactions(got, got.known).at_N.tolist() == [0, 1, 2, 0, 1]


def test_the_best_items_are_unseen_ones_and_minus_1_where_there_are_no_more() -> None:
    known = steps([[4, 0], [0, 1, 2, 3]])
    past = interactions(WorkerInput(2, 5, known, known), known)
    assert best_UK(Rising(), past, most=1, depth=3).tolist() == [[3, 2, 1], [4, -1, -1]]


@pytest.fixture
def worker(tmp_path: Path) -> Callable[[], Worker]:
    return lambda: Worker([sys.executable, "-c", WORKER], 1, tmp_path)


def test_a_worker_takes_turns_and_its_end_is_an_error(worker: Callable[[], Worker]) -> None:
    with worker() as other:
        assert other.about == {"settings": {}}
        assert [other.turn()[1].tolist() for _ in range(2)] == [[[0, 5]], [[1, 5]]]
        with pytest.raises((RuntimeError, BrokenPipeError)):
            other.turn()


def test_two_trainings_are_compared_by_rates_and_by_cost() -> None:
    courses = []
    for seconds, tokens, hit_epoch in ((4.0, 10, 2), (2.0, 20, 1)):
        course = TrainingCourse({"settings": {}}, np.array([7, 7]))
        for epoch in (1, 2, 3):
            best = np.array([[7 if epoch >= hit_epoch else 0, 1], [2, 3]])
            figures = {"epoch_seconds": seconds, "tokens": tokens, "scoring_seconds": seconds / 2, "peak_memory_mib": 9}
            course.take(figures, best)
        courses.append(course.as_json())
    theirs, ours = courses
    found = compared(theirs, ours)
    assert found["training_rate"] == {"ratio": 4.0, "least": 4.0, "most": 4.0}
    assert found["scoring_rate"]["ratio"] == 2.0 and found["hr_at_10_difference"] == 0
    assert not found["is_goal_reached"]  # scoring is not three times as fast
    assert found["ours_within_their_tokens"]["epoch"] == 1 and found["ours_within_their_seconds"]["epoch"] == 3
    assert found["ours_as_good_as_their_last"]["seconds_so_far"] == 2.0
    assert "| users scored a second | 1 | 2 | 2.0 × (2.0 to 2.0) |" in markdown(theirs, ours, found)
