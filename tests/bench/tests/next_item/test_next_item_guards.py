"""No position sees a later item; padding and other users of the batch change nothing."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from model.baselines.interactions import Interactions
from tests.bench.next_item.network import NextItemNet
from tests.bench.next_item.ranker import NetRanker
from tests.bench.next_item.windows import WindowBatch, batch_of, newest_windows, training_windows, windows

InteractionsOf = Callable[[list[list[int]]], Interactions]


def read(item_L: list[int], width: int | None = None) -> WindowBatch:
    padding = [0] * ((width or len(item_L)) - len(item_L))
    place_L = torch.arange(len(item_L) + len(padding))
    return WindowBatch(torch.tensor([item_L + padding]), place_L[None], torch.tensor([len(item_L)]))


def test_a_later_item_changes_nothing_before_it(net: NextItemNet) -> None:
    outputs, other = net(read([4, 9, 2, 7, 1])), net(read([4, 9, 2, 8, 3]))
    torch.testing.assert_close(outputs[:, :3], other[:, :3], rtol=0, atol=1e-12)
    assert not torch.allclose(outputs[:, 3], other[:, 3])


def test_padding_changes_nothing(net: NextItemNet) -> None:
    torch.testing.assert_close(net(read([4, 9, 2], width=9))[:, :3], net(read([4, 9, 2])), rtol=0, atol=1e-12)
    assert read([4, 9, 2], width=5).is_real_BL().tolist() == [[True, True, True, False, False]]


def test_the_order_of_items_and_the_place_in_the_history_matter(net: NextItemNet) -> None:
    outputs = net.log_probability_BV(read([4, 9, 2]))
    assert not torch.allclose(outputs, net.log_probability_BV(read([9, 4, 2])))
    early = read([4, 9, 2])
    late = WindowBatch(early.item_BL, early.place_BL + 11, early.length_B)
    assert not torch.allclose(outputs, net.log_probability_BV(late))


def test_a_user_alone_is_ranked_as_in_a_batch(
    net: NextItemNet, interactions_of: InteractionsOf, lives: list[list[int]]
) -> None:
    ranker = NetRanker(net)
    together = ranker.scores_BV(interactions_of(lives))
    for user in (0, 17, 119):
        np.testing.assert_allclose(ranker.scores_BV(interactions_of([lives[user]]))[0], together[user], atol=1e-5)


def test_a_ranker_predicts_log_probabilities_and_is_uniform_for_a_user_without_steps(
    net: NextItemNet, interactions_of: InteractionsOf
) -> None:
    scores_BV = NetRanker(net).scores_BV(interactions_of([[1, 2], [], [3]]))
    np.testing.assert_allclose(np.exp(scores_BV).sum(1), 1, atol=1e-5)
    assert np.ptp(scores_BV[1]) == 0 and np.ptp(scores_BV[0]) > 0


def test_an_epoch_reads_every_newest_step_once_and_one_earlier_window_of_long_histories(
    interactions_of: InteractionsOf, lives: list[list[int]]
) -> None:
    interactions, most = interactions_of([*lives, [5]]), 9
    targets = 0
    for window in windows(interactions, most, tokens_at_once=40, random=np.random.default_rng(1)):
        assert len(window.target_R) == int(window.read.length_B.sum()) <= 40 + most
        targets += len(window.target_R)
    newest = sum(min(len(life) - 1, most) for life in lives)
    assert targets == newest + most * sum(len(life) > most + 1 for life in lives)


def test_two_ranks_share_the_windows_of_each_batch(interactions_of: InteractionsOf, lives: list[list[int]]) -> None:
    interactions = interactions_of(lives)

    def batches(*rank: int) -> list[list[int]]:
        return [sorted(one.target_R.tolist()) for one in windows(interactions, 9, 40, np.random.default_rng(1), *rank)]

    whole, *shares = batches(), batches(0, 2), batches(1, 2)
    assert [sorted(first + second) for first, second in zip(*shares, strict=True)] == whole


def test_targets_are_the_items_that_came_next(interactions_of: InteractionsOf) -> None:
    interactions = interactions_of([[1, 2, 3, 4], [7, 8]])
    [window] = windows(interactions, most=9, tokens_at_once=100, random=np.random.default_rng(1))
    item_R = window.read.item_BL[window.read.is_real_BL()]
    assert sorted(zip(item_R.tolist(), window.target_R.tolist(), strict=True)) == [(1, 2), (2, 3), (3, 4), (7, 8)]


def test_an_earlier_window_lies_within_its_history_and_has_true_places(interactions_of: InteractionsOf) -> None:
    interactions = interactions_of([list(range(20)), [3] * 20])
    begins = set()
    for seed in range(60):
        windows = training_windows(interactions, 5, np.random.default_rng(seed))
        assert windows.first_W[:2].tolist() == [14, 34] and windows.length_W.tolist() == [5, 5, 5, 5]
        begins |= {windows.first_W[2]}
        batch = batch_of(interactions, interactions.events_before_N(), windows)
        assert batch.item_BL[2].tolist() == batch.place_BL[2].tolist()
    assert begins == set(range(14))


def test_newest_windows_are_the_newest_steps(interactions_of: InteractionsOf) -> None:
    windows = newest_windows(interactions_of([[1, 2, 3, 4], [], [7]]), most=3)
    assert (windows.first_W[[0, 2]].tolist(), windows.length_W.tolist()) == ([1, 4], [3, 0, 1])
    assert windows.steps == 4


@pytest.mark.parametrize("places", [1, 3])
def test_later_places_share_the_last_one(net: NextItemNet, places: int) -> None:
    last = net.size.places - 1
    one = WindowBatch(torch.tensor([[4, 9]]), torch.tensor([[last, last]]), torch.tensor([2]))
    other = WindowBatch(one.item_BL, one.place_BL + places, one.length_B)
    torch.testing.assert_close(net(one), net(other))


def test_the_newest_places_alone_equal_those_of_all_places(net: NextItemNet) -> None:
    windows = [[4, 9, 2, 7, 1], [3], [8, 8, 5]]
    item_BL = torch.tensor([window + [0] * (5 - len(window)) for window in windows])
    length_B = torch.tensor([len(window) for window in windows])
    batch = WindowBatch(item_BL, torch.arange(5).expand(3, 5), length_B)
    torch.testing.assert_close(net.newest_BD(batch), net(batch)[torch.arange(3), length_B - 1], rtol=0, atol=1e-12)


def test_threads_change_nothing(net: NextItemNet, interactions_of: InteractionsOf, lives: list[list[int]]) -> None:
    before = torch.get_num_threads()
    scores = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        scores.append(NetRanker(net).scores_BV(interactions_of(lives)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*scores)
