"""Training and inference sets: users at one or more cutoffs, with inputs, stacked features and labels.

A `TrainingSet` has several cutoffs per user and reads each user once. At each cutoff the labels are what the user did
in the window after it, restricted to windows that had ended by the cutoff of the model. Source: PinnerFormer (Pancha et
al. 2022), the dense all-action loss. `InferenceSet` has one cutoff and no labels. `batch_by_length` and `plan_epoch`
put users of similar length together.

Shape letters: U users of a set, A users of a window, B users of a batch, C cutoffs, T tags of the vocabulary, P stacked
features of a user and tag, N touched tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.arrays import Bools, Ints
from model.data.days import MICROS_PER_DAY
from model.data.history import History
from model.data.labels import LabeledWindow, label_window
from model.transformer.config import NetworkConfig
from model.transformer.stacked_features import CrossFittedFeatures, StackedFeatures
from model.transformer.tokens import TokenBatch, Tokens, Vocabulary, token_batch, tokenize
from model.transformer.workdir import IN_MEMORY, WorkDir

MAX_TOKENS = 512  # of a user; the newest are kept
# Users times cutoffs times tags in a batch. A network holds several numbers for each of them, so they fill the memory
# if users are short and there are many tags.
MAX_LABELS = 2_000_000
INFERENCE_TOKENS_PER_BATCH = 16_384


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs, stacked features and labels of some users. Where `has_labels_BC` is false, the labels are not used."""

    tokens: TokenBatch
    stacked_BCTP: Tensor
    has_labels_BC: Tensor
    touches_BCT: Tensor  # number of events in the window that touch each tag
    has_returned_BC: Tensor


@dataclass(frozen=True, eq=False)
class InferenceSet:
    """Users at one cutoff."""

    tokens: Tokens
    cutoff: int  # moment
    stacked_UTP: NDArray[np.float32]

    @classmethod
    def of(
        cls, past: History, cutoff: int, vocabulary: Vocabulary, features: StackedFeatures, config: NetworkConfig
    ) -> "InferenceSet":
        """past: users with at least one event each, all before `cutoff`."""
        known = past.with_vocabulary(np.union1d(past.tag_T, vocabulary.tags))
        column_T = np.searchsorted(known.tag_T, vocabulary.tags)
        tokens = tokenize(past, vocabulary, config.has_session_tokens)
        return cls(tokens, cutoff, features.predicted_UTP(known)[:, column_T])

    def lengths_U(self) -> Ints:
        return self.tokens.lengths_U(MAX_TOKENS)

    def inputs(self, user_B: Ints) -> tuple[TokenBatch, Tensor]:
        """Return the tokens and the stacked features (B, 1, T, P) of some users."""
        batch = token_batch(self.tokens, user_B, [[self.cutoff]] * len(user_B), MAX_TOKENS)
        return batch, torch.from_numpy(self.stacked_UTP[user_B])[:, None]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Users at several cutoffs, with the labels of the window after each."""

    tokens: Tokens
    cutoff_C: Ints  # moments, rising
    stacked_UCTP: NDArray[np.float32]
    has_labels_UC: Bools  # known at the cutoff, and still in the log at the end of the window
    has_returned_UC: Bools
    row_N: Ints  # user * cutoffs + cutoff, rising
    tag_N: Ints  # code less 1
    touches_N: Ints  # number of events of the window that touch the tag

    @classmethod
    def of(
        cls,
        past: History,
        windows: Sequence[LabeledWindow],
        vocabulary: Vocabulary,
        features: CrossFittedFeatures,
        config: NetworkConfig,
        workdir: WorkDir = IN_MEMORY,
    ) -> "TrainingSet":
        """windows: of users of `past`, oldest first, with no event that `past` lacks."""
        shape_UC = (past.users, len(windows))
        stacked_UCTP = workdir.zeros((*shape_UC, len(vocabulary.tags), features.count))
        has_labels_UC, has_returned_UC = np.zeros(shape_UC, bool), np.zeros(shape_UC, bool)
        rows, tags, touches = [], [], []
        for number, window in enumerate(windows):
            user_A = np.searchsorted(past.user_id_U, window.past.user_id_U)
            has_labels_UC[user_A, number] = True
            has_returned_UC[user_A, number] = window.has_returned_U
            known = window.past.with_vocabulary(np.union1d(window.past.tag_T, vocabulary.tags))
            predicted_ATP = features.predicted_UTP(known, window.cutoff)
            stacked_UCTP[user_A, number] = predicted_ATP[:, np.searchsorted(known.tag_T, vocabulary.tags)]
            code = vocabulary.tag_codes(window.past.tag_T)[window.touched.tag_P]
            rows.append((user_A[window.touched.user_P] * len(windows) + number)[code > 0])
            tags.append(code[code > 0] - 1)
            touches.append(window.touches_P[code > 0])
        row, tag, touch = np.concatenate(rows), np.concatenate(tags), np.concatenate(touches)
        order = np.argsort(row, kind="stable")
        cutoff_C = np.array([window.cutoff for window in windows])
        tokens = tokenize(past, vocabulary, config.has_session_tokens)
        return cls(tokens, cutoff_C, stacked_UCTP, has_labels_UC, has_returned_UC, row[order], tag[order], touch[order])

    @property
    def labels_per_user(self) -> int:
        """Return the number of cutoffs times the number of tags."""
        return self.stacked_UCTP.shape[1] * self.stacked_UCTP.shape[2]

    def lengths_U(self) -> Ints:
        """Return the number of tokens of each user; 0 for a user without labels."""
        return np.where(self.has_labels_UC.any(1), self.tokens.lengths_U(MAX_TOKENS), 0)

    def inputs(self, user_B: Ints) -> TokenBatch:
        return token_batch(self.tokens, user_B, [self.cutoff_C.tolist()] * len(user_B), MAX_TOKENS)

    def batch(self, user_B: Ints) -> Batch:
        cutoffs = len(self.cutoff_C)
        start_B, end_B = (np.searchsorted(self.row_N, (user_B + more) * cutoffs) for more in (0, 1))
        touched = np.concatenate([np.arange(start, end) for start, end in zip(start_B, end_B, strict=True)])
        touched = touched.astype(np.int64)
        row = np.repeat(np.arange(len(user_B)), end_B - start_B)
        touches_BCT = torch.zeros(len(user_B), cutoffs, self.stacked_UCTP.shape[2])
        touches_BCT[row, self.row_N[touched] % cutoffs, self.tag_N[touched]] = torch.from_numpy(
            self.touches_N[touched]
        ).float()
        return Batch(
            self.inputs(user_B),
            torch.from_numpy(np.asarray(self.stacked_UCTP[user_B])),
            torch.from_numpy(self.has_labels_UC[user_B]),
            touches_BCT,
            torch.from_numpy(self.has_returned_UC[user_B]).float(),
        )


def dense_windows(windows: Sequence[LabeledWindow], past: History, cutoffs_per_window: int) -> list[LabeledWindow]:
    """Return windows at the cutoffs of `windows` and at evenly spaced cutoffs between them, oldest first.

    A cutoff between two windows has the users of the later one. So a user who is held out of a window is held out of
    all windows that overlap it.

    windows: oldest first. past: what was known at the end of the last window, nothing later.
    cutoffs_per_window: cutoffs within the length of one window; 1 for windows that do not overlap. They lie a day apart
    at least: on Taobao, with windows of a day, seven a day rank no better than one and take seven times the memory.
    Raises ValueError if there is no window.
    """
    if not windows:
        raise ValueError("a network needs at least one window to train on, found none: train through a later day")
    newest = windows[-1]
    horizon = newest.end - newest.cutoff
    step = max(horizon // cutoffs_per_window, min(horizon, MICROS_PER_DAY))
    cutoffs = sorted(range(newest.cutoff, windows[0].cutoff - 1, -step))
    later = np.searchsorted([one.cutoff for one in windows], cutoffs)
    return [
        _with_users_of(label_window(past, cutoff, cutoff + horizon), windows[number])
        for cutoff, number in zip(cutoffs, later, strict=True)
    ]


def _with_users_of(window: LabeledWindow, other: LabeledWindow) -> LabeledWindow:
    is_kept_U = np.isin(window.past.user_id_U, other.past.user_id_U)
    return window if is_kept_U.all() else window.of_users(is_kept_U)


def batch_by_length(
    lengths_U: Ints, tokens_per_batch: int, random: np.random.Generator | None = None, labels_per_user: int = 1
) -> list[Ints]:
    """Return batches of users of similar length, each of at most `tokens_per_batch` tokens with padding.

    A longer user is a batch of its own. A user of length 0 is in no batch. A batch has at most MAX_LABELS labels, or
    one user.
    random: varies which users share a batch, and shuffles the batches; None for rising lengths.
    """
    noise_U = random.uniform(0.8, 1.25, len(lengths_U)) if random else np.ones(len(lengths_U))
    order = np.argsort(lengths_U * noise_U, kind="stable")
    max_users = max(1, MAX_LABELS // labels_per_user)
    groups: list[list[int]] = []
    longest = 0
    for user in order[lengths_U[order] > 0].tolist():
        longest = max(longest, int(lengths_U[user]))
        if not groups or longest * (len(groups[-1]) + 1) > tokens_per_batch or len(groups[-1]) == max_users:
            groups.append([])
            longest = int(lengths_U[user])
        groups[-1].append(user)
    batches = [np.array(users) for users in groups]
    if random:
        random.shuffle(batches)
    return batches


def plan_epoch(
    sets: Sequence[TrainingSet], tokens_per_batch: int, random: np.random.Generator
) -> list[tuple[TrainingSet, Ints]]:
    """Return the batches of an epoch in random order: every user of every training set once.

    Only lengths are read, so a resumed training can skip the batches that it has finished.
    """
    batches = [
        (one, user_B)
        for one in sets
        for user_B in batch_by_length(one.lengths_U(), tokens_per_batch, random, one.labels_per_user)
    ]
    return [batches[number] for number in random.permutation(len(batches))]


def users_of_rank(user_B: Ints, rank: int, ranks: int) -> Ints:
    """Return a rank's share of the users of a batch, of similar lengths for all ranks and never empty.

    If there are fewer users than ranks, some users are read by two ranks.
    """
    return user_B[rank::ranks] if len(user_B) >= ranks else user_B[rank % len(user_B)][None]
