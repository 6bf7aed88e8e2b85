"""How large a network is, under names that a command line can ask for.

What a training is made by, beside the data and the network.
"""

from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from model.transformer.lr_schedule import lr_schedule


@dataclass(frozen=True)
class NetworkConfig:
    """What fixes the shapes of a network; a checkpoint keeps it beside the weights.

    Raises ValueError if the parts do not fit each other.
    """

    width: int
    heads: int
    encoder_blocks: int
    decoder_blocks: int
    interests: int  # learned queries, each of which reads one interest from the memory
    dropout: float = 0.2
    has_session_tokens: bool = True  # a start and an end token around each session
    has_time_bias: bool = True  # attention knows how long ago and how many sessions ago
    has_own_tags: bool = True  # a path that counts the user's own touches, each seen in its context
    is_hierarchical: bool = False  # older sessions are seen through their end tokens alone

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} does not fit {self.heads} heads: expected a multiple of {2 * self.heads}, since "
                f"rotary positions turn pairs of numbers within a head"
            )
        if self.is_hierarchical and not self.has_session_tokens:
            raise ValueError("a hierarchical memory sees older sessions through their end tokens: has_session_tokens")


SIZES = MappingProxyType(
    {
        "laptop": NetworkConfig(width=64, heads=2, encoder_blocks=2, decoder_blocks=1, interests=8),
        "server": NetworkConfig(width=128, heads=4, encoder_blocks=4, decoder_blocks=2, interests=12),
        "gpu": NetworkConfig(width=256, heads=8, encoder_blocks=8, decoder_blocks=2, interests=16),
    }
)


@dataclass(frozen=True)
class LossWeights:
    """What each part counts beside the ranking of the window's tags, which counts 1."""

    power: float = 1.0  # of the number of a tag's events, to which its share in the ranking is proportional
    probability: float = (
        0.3  # binary cross entropy of every tag, which makes affinities probabilities and ranks nothing
    )
    mixture: float = 1.0  # the softmax of the interests alone, without paths
    next_tags: float = 0.3  # what each token of the encoder says of the tags of the next event
    returning: float = 0.1
    sequence: float = 0.0  # the window's tags one by one, by the decoder that emits them; at 0 it is not even asked
    most_tags: int = 20_000  # of a catalogue that is ranked whole; of a larger one, `negatives` stand for the rest
    negatives: int = 1024


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast; all that a repetition needs beside the data."""

    epochs: int = 4
    tokens_at_once: int = 2048  # of a step, over all ranks
    learning_rate: float = 3e-3
    warm_up_steps: int = 50
    weight_decay: float = 0.05
    averaging: float = 0.995  # what the average keeps of itself a step
    seed: int = 1
    weights: LossWeights = field(default_factory=LossWeights)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lr_schedule(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0: a warm-up, then half a cosine down to 0."""
        return self.learning_rate * lr_schedule(step, steps, self.warm_up_steps)

    def noise(self, step: int, rank: int) -> int:
        """Return the seed of a step's dropout: the same after a resume, another on each rank."""
        return self.seed * 1_000_003 + step + rank * 7_919_000_003
