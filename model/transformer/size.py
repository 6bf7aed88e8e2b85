"""How large a network is, under names that a command line can ask for."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Size:
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
        "laptop": Size(width=64, heads=2, encoder_blocks=2, decoder_blocks=1, interests=8),
        "server": Size(width=128, heads=4, encoder_blocks=4, decoder_blocks=2, interests=12),
        "gpu": Size(width=256, heads=8, encoder_blocks=8, decoder_blocks=2, interests=16),
    }
)
