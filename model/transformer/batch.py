"""Users side by side as tensors, padded on the right, so that the causal mask is the only mask that hides tokens.

Shape letters: B users, L tokens, G tags of a token, F numbers of a token, C cuts of a user.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.arrays import AnyArray, Ints
from model.transformer.layout import PADDING, Tokens


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network reads of some users."""

    kind_BL: Tensor
    item_BL: Tensor
    action_BL: Tensor
    tag_BLG: Tensor
    at_BL: Tensor  # moment; padding stands at the moment of the last token
    session_BL: Tensor
    place_BL: Tensor
    number_BLF: Tensor
    cut_BC: Tensor  # moments at which interests are asked for: events before it count, none at it or later


def batch_of(tokens: Tokens, user_B: Ints, cuts_of_users: Sequence[Sequence[int]], most_tokens: int) -> Batch:
    """Return the newest `most_tokens` tokens of each user, and the moments at which each is asked about.

    cuts_of_users: for each user of the batch as many moments as for the others.
    Raises ValueError if a user has no token.
    """
    start_U = np.searchsorted(tokens.user_N, np.arange(tokens.users + 1))
    length_B = np.minimum(start_U[user_B + 1] - start_U[user_B], most_tokens)
    if not len(user_B) or not length_B.all():
        empty = user_B[length_B == 0].tolist()
        raise ValueError(f"nothing to read of users {empty} of {len(user_B)}: expected one event before the cut each")
    place_L = np.arange(length_B.max())
    token_BL = (start_U[user_B + 1] - length_B)[:, None] + np.minimum(place_L, length_B[:, None] - 1)
    is_padding_BL = place_L >= length_B[:, None]

    def laid(value_N: AnyArray, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.from_numpy(value_N[token_BL]).to(dtype)

    return Batch(
        kind_BL=laid(tokens.kind_N).masked_fill(torch.from_numpy(is_padding_BL), PADDING),
        item_BL=laid(tokens.item_N),
        action_BL=laid(tokens.action_N),
        tag_BLG=laid(tokens.tag_NG),
        at_BL=laid(tokens.at_N),
        session_BL=laid(tokens.session_N),
        place_BL=laid(tokens.place_N),
        number_BLF=laid(tokens.number_NF, torch.float32),
        cut_BC=torch.tensor(np.asarray(cuts_of_users), dtype=torch.long),
    )
