"""What a training reads from, and in which order. Shape letters: U users of a source, B users of a batch."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from model.arrays import Ints
from model.transformer.questions import Question, batches


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
