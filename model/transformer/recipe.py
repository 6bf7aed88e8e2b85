"""What a training is made by, beside the data and the network."""

from dataclasses import asdict, dataclass, field
from typing import Any

from model.transformer.loss import LossWeights
from model.transformer.pace import pace


@dataclass(frozen=True)
class Recipe:
    """How long and how fast; all that a repetition needs beside the data."""

    epochs: int = 4
    tokens_at_once: int = 2048  # of a step, over all ranks
    learning_rate: float = 3e-3
    warm_up_steps: int = 50
    weight_decay: float = 0.05
    averaging: float = 0.995  # what the average keeps of itself a step
    patience: int = 2  # epochs without a better judgement after which a judged training ends
    seed: int = 1
    weights: LossWeights = field(default_factory=LossWeights)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def pace(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0: a warm-up, then half a cosine down to 0."""
        return self.learning_rate * pace(step, steps, self.warm_up_steps)

    def noise(self, step: int, rank: int) -> int:
        """Return the seed of a step's dropout: the same after a resume, another on each rank."""
        return self.seed * 1_000_003 + step + rank * 7_919_000_003
