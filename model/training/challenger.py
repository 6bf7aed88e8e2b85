"""What a model must be able to do to challenge the champion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from model.counts.lesson import Lesson
from model.curves import CurvePoint
from model.history import History
from model.kept import Kept
from model.training.ahead import Ahead

Told = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Schooling:
    """All that may be known by one cut."""

    lessons: Sequence[Lesson]  # oldest first, of weeks that ended by the cut
    past: History  # everybody known at the cut, nothing at the cut or after it
    cut: int  # moment

    def __post_init__(self) -> None:
        if len(self.lessons) < 2:
            raise ValueError(f"found {len(self.lessons)} lessons, expected one to learn from and one to choose by")


class Learnt(Protocol):
    """A challenger as it goes before the judges."""

    @property
    def kept(self) -> Kept: ...

    @property
    def curves(self) -> Sequence[CurvePoint]:
        """Return how the training went; nothing where it has no steps."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the settings that were chosen, each a plain value."""

    def as_json(self) -> Mapping[str, Any]:
        """Return how it came to be."""

    def refitted(self, schooling: Schooling, ahead: Kept | None) -> Kept:
        """Return the same, learnt with the week that judged as well.

        ahead: what came of the challenger's `ahead`, None where it has none.
        """


class Challenger(Protocol):
    """A way to learn a model."""

    @property
    def kind(self) -> str: ...

    @property
    def steps(self) -> int:
        """How often `learn` calls `told`."""

    def ahead(self, schooling: Schooling) -> Ahead[Kept] | None:
        """Return what learns with the week that judged, without knowing how the judged one did, so that it may run
        meanwhile; None where a refit is quick, or depends on what was learnt."""

    def learn(self, schooling: Schooling, told: Told) -> Learnt:
        """Learn from the lessons, of which the newest may choose among settings. Nothing else is known."""
