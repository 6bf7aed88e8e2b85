"""Settings of a network (`NetworkConfig`), of its loss (`LossWeights`) and of its training (`TrainingConfig`)."""

import math
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class NetworkConfig:
    """The architecture of a network. It fixes the shapes of the weights and is saved beside them.

    Raises ValueError if the values do not fit each other.
    """

    width: int
    heads: int
    encoder_blocks: int
    decoder_blocks: int
    interests: int  # learned queries; each reads one interest from the memory
    dropout: float = 0.2
    has_session_tokens: bool = True  # a start and an end token around each session
    has_time_bias: bool = True  # attention depends on the age of a token in time and in sessions
    has_pointer_head: bool = True  # counts the user's own touches, weighted by their context
    is_hierarchical: bool = False  # only the end tokens of older sessions are visible
    has_tag_sequence_decoder: bool = False  # a second decoder that emits interest tags one by one
    ranks_by_tag_sequence: bool = False  # the tags that it emits come first, in their order

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} does not fit {self.heads} heads: expected a multiple of {2 * self.heads}, since "
                f"rotary positions rotate pairs of numbers within a head"
            )
        if self.is_hierarchical and not self.has_session_tokens:
            raise ValueError("is_hierarchical needs has_session_tokens: older sessions are read by their end tokens")
        if self.ranks_by_tag_sequence and not self.has_tag_sequence_decoder:
            raise ValueError("ranks_by_tag_sequence needs has_tag_sequence_decoder, which emits the tags")


SIZES = MappingProxyType(
    {
        "laptop": NetworkConfig(width=64, heads=2, encoder_blocks=2, decoder_blocks=1, interests=8),
        "server": NetworkConfig(width=128, heads=4, encoder_blocks=4, decoder_blocks=2, interests=12),
        "gpu": NetworkConfig(width=256, heads=8, encoder_blocks=8, decoder_blocks=2, interests=16),
    }
)


def lr_schedule(step: int, steps: int, warmup_steps: int) -> float:
    """Return the factor of the learning rate: a linear warm-up times a cosine that falls to 0 at the last step.

    Source: cosine annealing without restarts (Loshchilov and Hutter 2017).
    step: from 0.
    """
    warmup = min(1.0, (step + 1) / warmup_steps)
    return warmup * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


@dataclass(frozen=True)
class LossWeights:
    """The weight of each part of the loss. The ranking of the window's tags has weight 1."""

    power: float = 1.0  # the target of a tag in the ranking is proportional to its number of touches to this power
    probability: float = 0.3  # binary cross entropy of every tag; fits probabilities and leaves the ranking as it is
    mixture: float = 1.0  # ranking by the mixture of interests alone, without stacked features
    next_tags: float = 0.3  # the tags of the next event, predicted by each encoder token
    returning: float = 0.1  # whether the user returns in the window
    sequence: float = 0.0  # the window's tags one by one; above 0 it needs a network with a tag sequence decoder
    max_softmax_tags: int = 20_000  # with more tags the softmax is over `negatives` sampled tags instead of all
    negatives: int = 1024


@dataclass(frozen=True)
class TrainingConfig:
    """All that a training depends on besides the data and the network."""

    epochs: int = 4
    tokens_per_batch: int = 2048  # over all ranks
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    weight_decay: float = 0.05
    ema_decay: float = 0.995  # of the moving average of the weights, per step
    seed: int = 1
    weights: LossWeights = field(default_factory=LossWeights)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0: linear warm-up, then a cosine down to 0."""
        return self.learning_rate * lr_schedule(step, steps, self.warmup_steps)

    def dropout_seed(self, step: int, rank: int) -> int:
        """Return the random seed of a step. It is the same after a resume and differs between ranks."""
        return self.seed * 1_000_003 + step + rank * 7_919_000_003
