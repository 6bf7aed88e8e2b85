"""Users as of some cuts, as questions and answers that a network can be trained on.

Shape letters: U users, B users of a batch, C cuts, T tags of the vocabulary, P paths, N touched tags.

What a training reads from, and in which order. Shape letters: U users of a source, B users of a batch.

Many cuts from one past: what every user did in the window after each of them, as far as it was over by then.

Source: PinnerFormer (Pancha et al. 2022), the dense all-action loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.arrays import Bools, Ints
from model.data.history import History
from model.data.labels import Lesson, lesson
from model.transformer.config import Size
from model.transformer.stacked_features import CrossFittedPaths, Paths
from model.transformer.tokens import Batch, Tokens, Vocabulary, batch_of, layout
from model.transformer.workdir import IN_MEMORY, Scratch

MOST_TOKENS = 512  # of a user: the newest
# Of a batch: its users times the tags that each is asked about, over all cuts. A network holds several numbers of each
# for every interest, so that it is these which fill the memory where users are short and tags are many.
MOST_ANSWERS = 2_000_000


@dataclass(frozen=True, eq=False)
class Question:
    """A batch, what the paths say of it, and what came of it. Where a user is not asked, nothing else counts."""

    batch: Batch
    path_BCTP: Tensor
    is_asked_BC: Tensor
    touched_BCT: Tensor  # how many events of the window touch each tag
    has_returned_BC: Tensor


@dataclass(frozen=True, eq=False)
class Asked:
    """Users as of one cut, laid out for the network."""

    tokens: Tokens
    cut: int  # moment
    path_UTP: NDArray[np.float32]

    @classmethod
    def of(cls, past: History, cut: int, vocabulary: Vocabulary, paths: Paths, size: Size) -> "Asked":
        """past: users with an event each, all before `cut`."""
        known = past.with_vocabulary(np.union1d(past.tag_T, vocabulary.tags))
        place_T = np.searchsorted(known.tag_T, vocabulary.tags)
        return cls(layout(past, vocabulary, size.has_session_tokens), cut, paths.told_UTP(known)[:, place_T])

    def lengths_U(self) -> Ints:
        return _lengths_U(self.tokens)

    def batch(self, user_B: Ints) -> tuple[Batch, Tensor]:
        """Return the batch and its paths (B, C, T, P)."""
        batch = batch_of(self.tokens, user_B, [[self.cut]] * len(user_B), MOST_TOKENS)
        return batch, torch.from_numpy(self.path_UTP[user_B])[:, None]


@dataclass(frozen=True, eq=False)
class Window:
    """Users who are asked at several cuts in one pass, each cut with what came in the window after it."""

    tokens: Tokens
    cut_C: Ints  # moments, rising
    path_UCTP: NDArray[np.float32]
    is_asked_UC: Bools  # known at the cut, and not out of sight when its window was over
    has_returned_UC: Bools
    row_N: Ints  # user * cuts + cut of each touched tag, rising
    tag_N: Ints  # its code less 1
    touches_N: Ints  # how many events touch it

    @classmethod
    def of(
        cls,
        past: History,
        lessons: Sequence[Lesson],
        vocabulary: Vocabulary,
        paths: CrossFittedPaths,
        size: Size,
        scratch: Scratch = IN_MEMORY,
    ) -> "Window":
        """lessons: of users of `past`, oldest first, with nothing that `past` does not hold."""
        shape_UC = (past.users, len(lessons))
        path_UCTP = scratch.zeros((*shape_UC, len(vocabulary.tags), paths.numbers))
        is_asked_UC, has_returned_UC = np.zeros(shape_UC, bool), np.zeros(shape_UC, bool)
        rows, tags, touches = [], [], []
        for number, lesson in enumerate(lessons):
            user_A = np.searchsorted(past.user_id_U, lesson.past.user_id_U)
            is_asked_UC[user_A, number] = True
            has_returned_UC[user_A, number] = lesson.has_returned_U
            known = lesson.past.with_vocabulary(np.union1d(lesson.past.tag_T, vocabulary.tags))
            told_ATP = paths.told_UTP(known, lesson.cut)
            path_UCTP[user_A, number] = told_ATP[:, np.searchsorted(known.tag_T, vocabulary.tags)]
            code = vocabulary.tag_codes(lesson.past.tag_T)[lesson.touched.tag_P]
            rows.append((user_A[lesson.touched.user_P] * len(lessons) + number)[code > 0])
            tags.append(code[code > 0] - 1)
            touches.append(lesson.touches_P[code > 0])
        row, tag, touch = np.concatenate(rows), np.concatenate(tags), np.concatenate(touches)
        order = np.argsort(row, kind="stable")
        cut_C = np.array([lesson.cut for lesson in lessons])
        tokens = layout(past, vocabulary, size.has_session_tokens)
        return cls(tokens, cut_C, path_UCTP, is_asked_UC, has_returned_UC, row[order], tag[order], touch[order])

    @property
    def answers(self) -> int:
        """Of each user: every tag at every cut."""
        return self.path_UCTP.shape[1] * self.path_UCTP.shape[2]

    def lengths_U(self) -> Ints:
        """Count the tokens that are read of each user; 0 for one who is asked at no cut."""
        return np.where(self.is_asked_UC.any(1), _lengths_U(self.tokens), 0)

    def batch(self, user_B: Ints) -> Batch:
        return batch_of(self.tokens, user_B, [self.cut_C.tolist()] * len(user_B), MOST_TOKENS)

    def question(self, user_B: Ints) -> Question:
        cuts = len(self.cut_C)
        start_B, end_B = (np.searchsorted(self.row_N, (user_B + more) * cuts) for more in (0, 1))
        touched = np.concatenate([np.arange(start, end) for start, end in zip(start_B, end_B, strict=True)])
        touched = touched.astype(np.int64)
        row = np.repeat(np.arange(len(user_B)), end_B - start_B)
        touched_BCT = torch.zeros(len(user_B), cuts, self.path_UCTP.shape[2])
        touched_BCT[row, self.row_N[touched] % cuts, self.tag_N[touched]] = torch.from_numpy(
            self.touches_N[touched]
        ).float()
        return Question(
            self.batch(user_B),
            torch.from_numpy(np.asarray(self.path_UCTP[user_B])),
            torch.from_numpy(self.is_asked_UC[user_B]),
            touched_BCT,
            torch.from_numpy(self.has_returned_UC[user_B]).float(),
        )


def _lengths_U(tokens: Tokens) -> Ints:
    return np.minimum(np.bincount(tokens.user_N, minlength=tokens.users), MOST_TOKENS)


def batches(
    lengths_U: Ints, tokens_at_once: int, random: np.random.Generator | None = None, answers: int = 1
) -> list[Ints]:
    """Return batches of users of like lengths, each of at most `tokens_at_once` tokens, padding included.

    A user who is longer is a batch alone, one of length 0 is in none.
    random: for another mixture and order each time; None for rising lengths.
    answers: of each user; a batch holds MOST_ANSWERS at most, or one user.
    """
    noise_U = random.uniform(0.8, 1.25, len(lengths_U)) if random else np.ones(len(lengths_U))
    order = np.argsort(lengths_U * noise_U, kind="stable")
    most_users = max(1, MOST_ANSWERS // answers)
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


class Source(Protocol):
    """Users with what is asked about them and what came of it, in memory (`Window`) or on disk (`StoredSource`)."""

    @property
    def answers(self) -> int:
        """How many tags each user is asked about, over all cuts."""
        ...

    def lengths_U(self) -> Ints:
        """Return the tokens of each user."""
        ...

    def question(self, user_B: Ints) -> Question:
        """Return the question about these users, in this order."""
        ...


def plan(sources: Sequence[Source], tokens_at_once: int, random: np.random.Generator) -> list[tuple[Source, Ints]]:
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


def dense_lessons(taught: Sequence[Lesson], past: History, cuts_a_window: int) -> list[Lesson]:
    """Return lessons at the cuts of `taught` and at evenly spaced ones between them, oldest first.

    taught: oldest first; a cut between two of them is of the users of the later one, so that whoever is kept out of a
    window is kept out of all that reach into it. past: what was known when the last window was over, nothing later.
    cuts_a_window: how many cuts lie in the length of one window; 1 for windows that do not overlap.
    Raises ValueError if nothing is taught.
    """
    if not taught:
        raise ValueError("a network needs one window at least to learn from, found none: train through a later day")
    newest = taught[-1]
    horizon = newest.end - newest.cut
    cuts = sorted(range(newest.cut, taught[0].cut - 1, -(horizon // cuts_a_window)))
    later = np.searchsorted([one.cut for one in taught], cuts)
    return [_of_users(lesson(past, cut, cut + horizon), taught[at]) for cut, at in zip(cuts, later, strict=True)]


def _of_users(told: Lesson, of: Lesson) -> Lesson:
    is_kept_U = np.isin(told.past.user_id_U, of.past.user_id_U)
    return told if is_kept_U.all() else told.of_users(is_kept_U)
