"""How a contestant got better while it learnt, where it tells."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from model.evaluation.contestant import Ranker


@dataclass(frozen=True)
class LearningCurve:
    """A figure after each of some steps."""

    step: tuple[float, ...]
    value: tuple[float, ...]
    step_name: str = "step"  # such as epoch or tree
    value_name: str = "nDCG@10"

    def __post_init__(self) -> None:
        if len(self.step) != len(self.value):
            raise ValueError(f"a learning curve of {len(self.step)} steps and {len(self.value)} values: expected equal")

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)


@runtime_checkable
class Learner(Protocol):
    """A Ranker that tells how it learnt."""

    @property
    def learning_curve(self) -> LearningCurve: ...


def learning_curve_of(ranker: Ranker) -> LearningCurve | None:
    return ranker.learning_curve if isinstance(ranker, Learner) else None
