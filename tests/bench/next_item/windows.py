"""Windows of user histories as tensors, padded on the right, so that the causal mask is the only mask.

Shape letters: N events (see model/baselines/interactions.py), U users, W windows, B windows of a batch,
L places of a window, R real places of a batch, row by row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.baselines.interactions import Interactions
from model.data.arrays import Ints
from model.transformer.dataset import users_of_rank

DISORDER = 0.1  # relative noise of the lengths before sorting, so that each epoch has other batches


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """The input of a network: some windows."""

    item_BL: Tensor  # item 0 where a window has ended: nothing before looks at it
    place_BL: Tensor  # in the user's history, from 0
    length_B: Tensor  # real places

    def is_real_BL(self) -> Tensor:
        return torch.arange(self.item_BL.shape[1]) < self.length_B[:, None]


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Windows, and the item that followed each of their real places."""

    read: WindowBatch
    target_R: Tensor


@dataclass(frozen=True, eq=False)
class Windows:
    """Ranges of interactions: `length` steps from step `first` on."""

    first_W: Ints
    length_W: Ints

    @property
    def steps(self) -> int:
        return int(self.length_W.sum())


def newest_windows(interactions: Interactions, most: int) -> Windows:
    """Return the newest `most` steps of every user, in the order of users; of length 0 for one without."""
    steps_U = np.bincount(interactions.user_N, minlength=interactions.users)
    length_U = np.minimum(steps_U, most)
    return Windows(np.cumsum(steps_U) - length_U, length_U)


def training_windows(interactions: Interactions, most: int, random: np.random.Generator) -> Windows:
    """Return the windows of an epoch: the newest steps of every user, and a random earlier window of longer histories.

    The newest step of a window is a target only, so a window has `most` + 1 steps, of which `most` are read.
    """
    newest = newest_windows(interactions, most + 1)
    steps_U = np.bincount(interactions.user_N, minlength=interactions.users)
    spare_U = steps_U - newest.length_W
    is_long_U = spare_U > 0
    begin_U = newest.first_W - spare_U + random.integers(0, np.maximum(spare_U, 1))
    first_W = np.concatenate([newest.first_W, begin_U[is_long_U]])
    length_W = np.concatenate([newest.length_W, newest.length_W[is_long_U]])
    is_readable_W = length_W > 1
    return Windows(first_W[is_readable_W], length_W[is_readable_W] - 1)


def windows(
    interactions: Interactions,
    most: int,
    tokens_at_once: int,
    random: np.random.Generator,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[TrainingBatch]:
    """Yield an epoch of batches in random order, of `tokens_at_once` real places each or a little less.

    Each of several ranks gets its share of the windows of every batch.
    """
    windows = training_windows(interactions, most, random)
    place_N = interactions.events_before_N()
    groups = _groups(windows.length_W, tokens_at_once, random)
    for group in random.permutation(len(groups)):
        share = users_of_rank(groups[group], rank, ranks)
        some = Windows(windows.first_W[share], windows.length_W[share])
        read = batch_of(interactions, place_N, some)
        yield TrainingBatch(read, torch.from_numpy(interactions.item_N[_steps_R(some) + 1]))


def batches_of_epoch(interactions: Interactions, most: int, tokens_at_once: int) -> int:
    """Count the batches of an epoch, approximately, since their order is random."""
    length_W = training_windows(interactions, most, np.random.default_rng(0)).length_W
    return len(_groups(length_W, tokens_at_once, np.random.default_rng(0)))


def batch_of(interactions: Interactions, place_N: Ints, windows: Windows) -> WindowBatch:
    """Return windows, of length 1 at least each, as tensors. place_N: of each step in its user's history."""
    width = int(windows.length_W.max())
    is_real_BL = np.arange(width) < windows.length_W[:, None]
    step_R = _steps_R(windows)
    item_BL, place_BL = np.zeros((2, len(windows.length_W), width), dtype=np.int64)
    item_BL[is_real_BL], place_BL[is_real_BL] = interactions.item_N[step_R], place_N[step_R]
    return WindowBatch(torch.from_numpy(item_BL), torch.from_numpy(place_BL), torch.from_numpy(windows.length_W))


def _steps_R(windows: Windows) -> Ints:
    length_W = windows.length_W
    within_R = np.arange(length_W.sum()) - np.repeat(np.cumsum(length_W) - length_W, length_W)
    return np.repeat(windows.first_W, length_W) + within_R


def _groups(length_W: Ints, tokens_at_once: int, random: np.random.Generator) -> list[Ints]:
    """Return windows of like length together, split where `tokens_at_once` places are full."""
    order_W = np.argsort(length_W * random.uniform(1 - DISORDER, 1 + DISORDER, len(length_W)), kind="stable")
    end_W = np.cumsum(length_W[order_W])
    group_W = (end_W - 1) // tokens_at_once
    return np.split(order_W, np.flatnonzero(np.diff(group_W)) + 1) if len(order_W) else []
