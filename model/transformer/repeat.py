"""The path of what can be counted: a user's own counts, and the scores of other models, straight into the affinities.

Counting is hard to beat, so the Transformer begins where a convex fit of the counts ends, and adds to it.

Shape letters: B users, C cuts, T tags, P paths (one number each about a user and a tag).
"""

import torch
from torch import Tensor, nn


class RepeatExplore(nn.Module):
    """Adds up what the paths say of a tag (repeat) and what the Transformer says of it (explore), as log-odds.

    Source: the split of RepeatNet (Ren et al. 2019), as one sum instead of a switch.
    """

    def __init__(self, paths: int) -> None:
        super().__init__()
        self.weight_P = nn.Parameter(torch.zeros(paths))
        self.bias = nn.Parameter(torch.zeros(()))
        # Without paths the Transformer is all there is; beside a fit it begins silent.
        self.explore = nn.Parameter(torch.tensor(0.0 if paths else 1.0))

    def start_from(self, weight_P: Tensor, bias: float) -> None:
        """Begin with a fit of the paths alone. Raises ValueError if it is of other paths."""
        if weight_P.shape != self.weight_P.shape:
            raise ValueError(f"a fit of {len(weight_P)} paths was given, the network has {len(self.weight_P)}")
        with torch.no_grad():
            self.weight_P.copy_(weight_P)
            self.bias.fill_(bias)

    def forward(self, path_BCTP: Tensor, log_mixture_BCT: Tensor) -> Tensor:
        """Return log-odds (B, C, T) that the user touches the tag in the window."""
        return path_BCTP @ self.weight_P + self.explore * log_mixture_BCT + self.bias
