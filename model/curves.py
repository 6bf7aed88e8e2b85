"""How a training went, step by step: what MLflow draws."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class CurvePoint:
    """Where a training stood after a step. None: not measured there."""

    step: int
    loss: float | None = None  # mean since the point before
    learning_rate: float | None = None
    judgement: float | None = None  # of the averaged network, higher is better

    def figures(self) -> Mapping[str, float]:
        """Return what was measured, by name."""
        return {name: value for name, value in asdict(self).items() if name != "step" and value is not None}
