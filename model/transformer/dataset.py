"""Users as of some cuts, as questions and answers that a network can be trained on.

Shape letters: U users, B users of a batch, C cuts, T tags of the vocabulary, P paths, N touched tags.

What a training reads from, and in which order. Shape letters: U users of a source, B users of a batch.

Many cuts from one past: what every user did in the window after each of them, as far as it was over by then.

Source: PinnerFormer (Pancha et al. 2022), the dense all-action loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.arrays import Bools, Ints
from model.data.history import History
from model.data.labels import LabeledWindow, label_window
from model.transformer.config import NetworkConfig
from model.transformer.stacked_features import CrossFittedFeatures, StackedFeatures
from model.transformer.tokens import TokenBatch, Tokens, Vocabulary, layout, token_batch
from model.transformer.workdir import IN_MEMORY, WorkDir

MAX_TOKENS = 512  # of a user: the newest
# Of a batch: its users times the tags that each is asked about, over all cuts. A network holds several numbers of each
# for every interest, so that it is these which fill the memory where users are short and tags are many.
MAX_LABELS = 2_000_000


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch, what the paths say of it, and what came of it. Where a user is not asked, nothing else counts."""

    batch: TokenBatch
    stacked_BCTP: Tensor
    is_asked_BC: Tensor
    touched_BCT: Tensor  # how many events of the window touch each tag
    has_returned_BC: Tensor


@dataclass(frozen=True, eq=False)
class InferenceSet:
    """Users as of one cut, laid out for the network."""

    tokens: Tokens
    cutoff: int  # moment
    stacked_UTP: NDArray[np.float32]

    @classmethod
    def of(
        cls, past: History, cutoff: int, vocabulary: Vocabulary, paths: StackedFeatures, size: NetworkConfig
    ) -> "InferenceSet":
        """past: users with an event each, all before `cutoff`."""
        known = past.with_vocabulary(np.union1d(past.tag_T, vocabulary.tags))
        place_T = np.searchsorted(known.tag_T, vocabulary.tags)
        return cls(layout(past, vocabulary, size.has_session_tokens), cutoff, paths.predicted_UTP(known)[:, place_T])

    def lengths_U(self) -> Ints:
        return _lengths_U(self.tokens)

    def batch(self, user_B: Ints) -> tuple[TokenBatch, Tensor]:
        """Return the batch and its paths (B, C, T, P)."""
        batch = token_batch(self.tokens, user_B, [[self.cutoff]] * len(user_B), MAX_TOKENS)
        return batch, torch.from_numpy(self.stacked_UTP[user_B])[:, None]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Users who are asked at several cuts in one pass, each cut with what came in the window after it."""

    tokens: Tokens
    cutoff_C: Ints  # moments, rising
    stacked_UCTP: NDArray[np.float32]
    is_asked_UC: Bools  # known at the cut, and not out of sight when its window was over
    has_returned_UC: Bools
    row_N: Ints  # user * cuts + cut of each touched tag, rising
    tag_N: Ints  # its code less 1
    touches_N: Ints  # how many events touch it

    @classmethod
    def of(
        cls,
        past: History,
        windows: Sequence[LabeledWindow],
        vocabulary: Vocabulary,
        paths: CrossFittedFeatures,
        size: NetworkConfig,
        workdir: WorkDir = IN_MEMORY,
    ) -> "TrainingSet":
        """lessons: of users of `past`, oldest first, with nothing that `past` does not hold."""
        shape_UC = (past.users, len(windows))
        stacked_UCTP = workdir.zeros((*shape_UC, len(vocabulary.tags), paths.numbers))
        is_asked_UC, has_returned_UC = np.zeros(shape_UC, bool), np.zeros(shape_UC, bool)
        rows, tags, touches = [], [], []
        for number, window in enumerate(windows):
            user_A = np.searchsorted(past.user_id_U, window.past.user_id_U)
            is_asked_UC[user_A, number] = True
            has_returned_UC[user_A, number] = window.has_returned_U
            known = window.past.with_vocabulary(np.union1d(window.past.tag_T, vocabulary.tags))
            told_ATP = paths.predicted_UTP(known, window.cutoff)
            stacked_UCTP[user_A, number] = told_ATP[:, np.searchsorted(known.tag_T, vocabulary.tags)]
            code = vocabulary.tag_codes(window.past.tag_T)[window.touched.tag_P]
            rows.append((user_A[window.touched.user_P] * len(windows) + number)[code > 0])
            tags.append(code[code > 0] - 1)
            touches.append(window.touches_P[code > 0])
        row, tag, touch = np.concatenate(rows), np.concatenate(tags), np.concatenate(touches)
        order = np.argsort(row, kind="stable")
        cutoff_C = np.array([window.cutoff for window in windows])
        tokens = layout(past, vocabulary, size.has_session_tokens)
        return cls(tokens, cutoff_C, stacked_UCTP, is_asked_UC, has_returned_UC, row[order], tag[order], touch[order])

    @property
    def answers(self) -> int:
        """Of each user: every tag at every cut."""
        return self.stacked_UCTP.shape[1] * self.stacked_UCTP.shape[2]

    def lengths_U(self) -> Ints:
        """Count the tokens that are read of each user; 0 for one who is asked at no cut."""
        return np.where(self.is_asked_UC.any(1), _lengths_U(self.tokens), 0)

    def batch(self, user_B: Ints) -> TokenBatch:
        return token_batch(self.tokens, user_B, [self.cutoff_C.tolist()] * len(user_B), MAX_TOKENS)

    def question(self, user_B: Ints) -> Batch:
        cutoffs = len(self.cutoff_C)
        start_B, end_B = (np.searchsorted(self.row_N, (user_B + more) * cutoffs) for more in (0, 1))
        touched = np.concatenate([np.arange(start, end) for start, end in zip(start_B, end_B, strict=True)])
        touched = touched.astype(np.int64)
        row = np.repeat(np.arange(len(user_B)), end_B - start_B)
        touched_BCT = torch.zeros(len(user_B), cutoffs, self.stacked_UCTP.shape[2])
        touched_BCT[row, self.row_N[touched] % cutoffs, self.tag_N[touched]] = torch.from_numpy(
            self.touches_N[touched]
        ).float()
        return Batch(
            self.batch(user_B),
            torch.from_numpy(np.asarray(self.stacked_UCTP[user_B])),
            torch.from_numpy(self.is_asked_UC[user_B]),
            touched_BCT,
            torch.from_numpy(self.has_returned_UC[user_B]).float(),
        )


def _lengths_U(tokens: Tokens) -> Ints:
    return np.minimum(np.bincount(tokens.user_N, minlength=tokens.users), MAX_TOKENS)


def batches(
    lengths_U: Ints, tokens_at_once: int, random: np.random.Generator | None = None, answers: int = 1
) -> list[Ints]:
    """Return batches of users of like lengths, each of at most `tokens_at_once` tokens, padding included.

    A user who is longer is a batch alone, one of length 0 is in none.
    random: for another mixture and order each time; None for rising lengths.
    answers: of each user; a batch holds MAX_LABELS at most, or one user.
    """
    noise_U = random.uniform(0.8, 1.25, len(lengths_U)) if random else np.ones(len(lengths_U))
    order = np.argsort(lengths_U * noise_U, kind="stable")
    most_users = max(1, MAX_LABELS // answers)
    made: list[list[int]] = []
    longest = 0
    for user in order[lengths_U[order] > 0].tolist():
        longest = max(longest, int(lengths_U[user]))
        if not made or longest * (len(made[-1]) + 1) > tokens_at_once or len(made[-1]) == most_users:
            made.append([])
            longest = int(lengths_U[user])
        made[-1].append(user)
    told = [np.array(users) for users in made]
    if random:
        random.shuffle(told)
    return told


def plan(
    sources: Sequence[TrainingSet], tokens_at_once: int, random: np.random.Generator
) -> list[tuple[TrainingSet, Ints]]:
    """Return the batches of an epoch: every user of every source once, sources mixed.

    Nothing is read yet but lengths, so that a resumed training may skip what it has done.
    """
    ordered = [
        (source, user_B)
        for source in sources
        for user_B in batches(source.lengths_U(), tokens_at_once, random, source.answers)
    ]
    return [ordered[number] for number in random.permutation(len(ordered))]


def share(user_B: Ints, rank: int, ranks: int) -> Ints:
    """Return a rank's users of a batch: every one is somebody's, all ranks have like lengths, none is without.

    Where users are fewer than ranks, some are read twice.
    """
    return user_B[rank::ranks] if len(user_B) >= ranks else user_B[rank % len(user_B)][None]


def dense_windows(taught: Sequence[LabeledWindow], past: History, cutoffs_per_window: int) -> list[LabeledWindow]:
    """Return lessons at the cuts of `taught` and at evenly spaced ones between them, oldest first.

    taught: oldest first; a cut between two of them is of the users of the later one, so that whoever is kept out of a
    window is kept out of all that reach into it. past: what was known when the last window was over, nothing later.
    cutoffs_per_window: how many cuts lie in the length of one window; 1 for windows that do not overlap.
    Raises ValueError if nothing is taught.
    """
    if not taught:
        raise ValueError("a network needs one window at least to learn from, found none: train through a later day")
    newest = taught[-1]
    horizon = newest.end - newest.cutoff
    cutoffs = sorted(range(newest.cutoff, taught[0].cutoff - 1, -(horizon // cutoffs_per_window)))
    later = np.searchsorted([one.cutoff for one in taught], cutoffs)
    return [
        _of_users(label_window(past, cutoff, cutoff + horizon), taught[at])
        for cutoff, at in zip(cutoffs, later, strict=True)
    ]


def _of_users(told: LabeledWindow, of: LabeledWindow) -> LabeledWindow:
    is_kept_U = np.isin(told.past.user_id_U, of.past.user_id_U)
    return told if is_kept_U.all() else told.of_users(is_kept_U)
