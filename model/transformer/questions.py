"""Windows as questions and answers that a network can be trained on.

Shape letters: U users of a window, B users of a batch, C cuts (1 here), T tags of the vocabulary, P paths.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.arrays import Ints
from model.counts.lesson import Lesson
from model.history import History
from model.transformer.batch import Batch, batch_of
from model.transformer.layout import Tokens, layout
from model.transformer.paths import Paths
from model.transformer.size import Size
from model.transformer.vocabulary import UNKNOWN, Vocabulary

MOST_TOKENS = 512  # of a user: the newest


@dataclass(frozen=True, eq=False)
class Question:
    """A batch, what the paths say of it, and what came of it."""

    batch: Batch
    path_BCTP: Tensor
    touched_BCT: Tensor
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
        return cls(layout(past, vocabulary, size.has_session_tokens), cut, paths.log_odds_UTP(known)[:, place_T])

    def lengths_U(self) -> Ints:
        return np.minimum(np.bincount(self.tokens.user_N, minlength=self.tokens.users), MOST_TOKENS)

    def batch(self, user_B: Ints) -> tuple[Batch, Tensor]:
        """Return the batch and its paths (B, C, T, P)."""
        batch = batch_of(self.tokens, user_B, [[self.cut]] * len(user_B), MOST_TOKENS)
        return batch, torch.from_numpy(self.path_UTP[user_B])[:, None]


@dataclass(frozen=True, eq=False)
class Window:
    """A lesson, laid out for the network."""

    asked: Asked
    lesson: Lesson
    tag_of_T: Ints  # place in the vocabulary of each tag of the lesson, -1 for one that it does not know

    @classmethod
    def of(cls, lesson: Lesson, vocabulary: Vocabulary, paths: Paths, size: Size) -> "Window":
        asked = Asked.of(lesson.past, lesson.cut, vocabulary, paths, size)
        return cls(asked, lesson, vocabulary.tag_codes(lesson.past.tag_T) - 1)

    def lengths_U(self) -> Ints:
        return self.asked.lengths_U()

    def question(self, user_B: Ints) -> Question:
        batch, path_BCTP = self.asked.batch(user_B)
        touched = self.lesson.touched
        start_B, end_B = (np.searchsorted(touched.key_P, (user_B + more) * touched.tags) for more in (0, 1))
        pairs = np.concatenate([np.arange(start, end) for start, end in zip(start_B, end_B, strict=True)])
        row = np.repeat(np.arange(len(user_B)), end_B - start_B)
        tag = self.tag_of_T[touched.tag_P[pairs.astype(np.int64)]]
        touched_BT = torch.zeros(path_BCTP.shape[0], path_BCTP.shape[2])
        touched_BT[row[tag >= UNKNOWN], tag[tag >= UNKNOWN]] = 1.0
        has_returned_B = torch.from_numpy(self.lesson.has_returned_U[user_B])
        return Question(batch, path_BCTP, touched_BT[:, None], has_returned_B.float()[:, None])


def batches(lengths_U: Ints, tokens_at_once: int, random: np.random.Generator | None = None) -> list[Ints]:
    """Return batches of users of like lengths, each of at most `tokens_at_once` tokens, padding included.

    A user who is longer is a batch alone. random: for another mixture and order each time; None for rising lengths.
    """
    noise_U = random.uniform(0.8, 1.25, len(lengths_U)) if random else np.ones(len(lengths_U))
    order = np.argsort(lengths_U * noise_U, kind="stable")
    made: list[list[int]] = []
    longest = 0
    for user in order.tolist():
        longest = max(longest, int(lengths_U[user]))
        if not made or longest * (len(made[-1]) + 1) > tokens_at_once:
            made.append([])
            longest = int(lengths_U[user])
        made[-1].append(user)
    told = [np.array(users) for users in made]
    if random:
        random.shuffle(told)
    return told


def epoch(windows: Sequence[Window], tokens_at_once: int, random: np.random.Generator) -> Iterator[Question]:
    """Yield every user of every window once, windows mixed."""
    plan = [
        (window, user_B) for window in windows for user_B in batches(window.asked.lengths_U(), tokens_at_once, random)
    ]
    for number in random.permutation(len(plan)):
        window, user_B = plan[number]
        yield window.question(user_B)
