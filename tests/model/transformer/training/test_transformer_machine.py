"""One process or several, CPU or GPU; in what order and by whom users are read."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from model.transformer.dataset import plan, share
from model.transformer.distributed import Runtime, cores, scoring_threads
from model.transformer.tensors import leaves, moved, rebuilt

RANKS = {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}


def test_without_a_gpu_it_is_one_process_in_single_precision_or_what_torchrun_started() -> None:
    assert Runtime.found({}) == Runtime("cpu", "32-true", False, 1, 1)
    assert Runtime.found(RANKS) == Runtime("cpu", "32-true", False, 4, 2)


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_computes_in_bf16_where_it_can(monkeypatch: pytest.MonkeyPatch, has_bf16: bool, precision: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert Runtime.found(RANKS) == Runtime("cuda", precision, True, 4, 2)


def test_bf16_gives_like_weights_but_not_the_same(small: Any, same_weights: Callable[..., bool]) -> None:
    single = small.trainer(epochs=1).run().state_dict()
    mixed = small.trainer(epochs=1, machine=Runtime(precision="bf16-mixed")).run().state_dict()
    assert not same_weights(single, mixed)
    for name, weight in single.items():
        torch.testing.assert_close(mixed[name], weight, rtol=0.1, atol=0.02)


def test_only_where_it_pays_is_a_network_compiled(monkeypatch: pytest.MonkeyPatch, small: Any) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda network, dynamic: compiled.append((network, dynamic)))
    network = small.network()
    Runtime().readied(network)
    assert compiled == []
    Runtime("cuda", is_compiled=True).readied(network)
    assert compiled == [(network, True)]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system tells a process nothing of its cores")
def test_it_scores_on_the_cores_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7})
    assert cores() == 3
    with scoring_threads() as threads:
        assert threads._max_workers == 3


def test_an_epoch_asks_every_user_of_every_source_once_in_an_order_of_its_own(small: Any) -> None:
    sources = [small.training_set, small.later_week]
    orders = []
    for epoch in (0, 1, 0):
        told = plan(sources, 1024, np.random.default_rng([1, epoch]))
        for source in sources:
            users = np.concatenate([user_B for one, user_B in told if one is source])
            assert sorted(users.tolist()) == list(range(len(source.lengths_U())))
        orders.append([user_B.tolist() for _, user_B in told])
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("users", [1, 2, 3, 10])
def test_ranks_share_a_batch_and_none_is_without_users(users: int) -> None:
    user_B = np.arange(100, 100 + users)
    shares = [share(user_B, rank, 3) for rank in range(3)]
    assert {user for shared in shares for user in shared.tolist()} == set(user_B.tolist())
    assert max(map(len, shares)) - min(map(len, shares)) <= 1 and min(map(len, shares)) >= 1
    assert share(user_B, 0, 1).tolist() == user_B.tolist()


def test_a_question_is_taken_apart_by_its_fields_and_put_together_again(small: Any) -> None:
    question = small.training_set.question(np.array([3, 1]))
    told = leaves(question)
    assert set(told) >= {"batch.kind_BL", "stacked_BCTP", "touched_BCT"}
    again = rebuilt(type(question), moved(told, torch.device("cpu")))
    assert again.batch.kind_BL is question.batch.kind_BL and again.touched_BCT is question.touched_BCT
    assert moved(told, torch.device("meta"))["batch.kind_BL"].is_meta
