"""The runtime, the plan of an epoch, and the users of each rank."""

import os
from typing import Any

import numpy as np
import pytest
import torch

from model.transformer.dataset import plan_epoch, users_of_rank
from model.transformer.distributed import Runtime, SingleProcess, available_cores, scoring_threads
from model.transformer.tensors import flatten, move, unflatten

RANKS = {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}


def test_without_a_gpu_the_runtime_is_the_cpu_with_the_ranks_of_torchrun() -> None:
    assert Runtime.detect({}) == Runtime("cpu", 1, 1)
    assert Runtime.detect(RANKS) == Runtime("cpu", 4, 2)


def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Runtime.detect({}) == Runtime("cuda")
    assert Runtime.detect(RANKS) == Runtime("cuda", 4, 2)


def test_one_process_needs_no_fabric(small: Any) -> None:
    network, device = small.network(), torch.device("meta")
    optimizer = torch.optim.AdamW(network.parameters())
    module, same_optimizer = SingleProcess(device).setup(network, optimizer)
    assert module is network and network.device == device and same_optimizer is optimizer
    assert isinstance(Runtime().fabric(), SingleProcess)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no CPU affinity")
def test_scoring_uses_the_available_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7})
    assert available_cores() == 3
    with scoring_threads() as threads:
        assert threads._max_workers == 3


def test_an_epoch_has_every_user_of_every_set_once_in_its_own_order(small: Any) -> None:
    sets = [small.training_set, small.later_week]
    orders = []
    for epoch in (0, 1, 0):
        planned = plan_epoch(sets, 1024, np.random.default_rng([1, epoch]))
        for training_set in sets:
            users = np.concatenate([user_B for one, user_B in planned if one is training_set])
            assert sorted(users.tolist()) == list(range(len(training_set.lengths_U())))
        orders.append([user_B.tolist() for _, user_B in planned])
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("users", [1, 2, 3, 10])
def test_ranks_share_a_batch_and_each_has_users(users: int) -> None:
    user_B = np.arange(100, 100 + users)
    shares = [users_of_rank(user_B, rank, 3) for rank in range(3)]
    assert {user for shared in shares for user in shared.tolist()} == set(user_B.tolist())
    assert max(map(len, shares)) - min(map(len, shares)) <= 1 and min(map(len, shares)) >= 1
    assert users_of_rank(user_B, 0, 1).tolist() == user_B.tolist()


def test_a_batch_is_flattened_by_its_fields_and_restored(small: Any) -> None:
    batch = small.training_set.batch(np.array([3, 1]))
    by_name = flatten(batch)
    assert set(by_name) >= {"tokens.kind_BL", "stacked_BCTP", "touches_BCT"}
    restored = unflatten(type(batch), move(by_name, torch.device("cpu")))
    assert restored.tokens.kind_BL is batch.tokens.kind_BL and restored.touches_BCT is batch.touches_BCT
    assert move(by_name, torch.device("meta"))["tokens.kind_BL"].is_meta
