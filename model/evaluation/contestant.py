"""What a model must be able to do to stand before the referee.

Shape letters: U users, T tags.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from model.arrays import Floats
from model.counts.lesson import Lesson
from model.history import History


class Ranker(Protocol):
    """A contestant that has learnt all that it may know by one cut."""

    def strength_UT(self, past: History) -> Floats:
        """Return how strongly each user is drawn to each tag of `past.tag_T`, higher is stronger.

        past: any of the users known at the cut, none of their events at the cut or after it. A user's row does not
        depend on who else is asked about.
        """


class Contestant(Protocol):
    """A way to rank tags, with its settings: `prepare` makes a Ranker of it as of a cut."""

    @property
    def name(self) -> str:
        """Name the method, without its settings."""

    @property
    def states_probabilities(self) -> bool:
        """Whether a strength is meant as the probability that the user touches the tag in the window."""

    def settings(self) -> Mapping[str, Any]:
        """Return what was tuned, as JSON."""

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> Ranker:
        """Return what this contestant is at `cut`.

        taught: oldest first, windows that ended by the cut.
        past: everybody known at the cut, nothing at the cut or after it.
        """


@runtime_checkable
class CostlyContestant(Contestant, Protocol):
    """A Contestant that is too dear to be prepared twice more for the guard against peeking."""

    def for_the_guard(self) -> Contestant:
        """Return the same contestant with less learning: every step that reads a lesson or the past, fewer times.

        The guard sees only what this one does. What the whole one alone would read, such as a file of its own in a
        later epoch, stays unseen; so only how often may differ, never from what is learnt.
        """
