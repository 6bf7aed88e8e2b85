"""Who may see whom, as booleans. Shape letters: B users, L tokens (as queries M), C cuts."""

import torch
from torch import Tensor

from model.transformer.tokens import END, PADDING, TokenBatch


def encoder_mask_BML(batch: TokenBatch, is_hierarchical: bool) -> Tensor:
    """Return which token may read which: itself and those before it.

    is_hierarchical: of older sessions their end tokens alone.
    """
    length = batch.kind_BL.shape[1]
    is_before_ML = torch.ones(length, length, dtype=torch.bool, device=batch.kind_BL.device).tril()
    mask_BML = is_before_ML.expand(len(batch.kind_BL), -1, -1)
    if not is_hierarchical:
        return mask_BML
    is_own_BML = batch.session_BL[:, :, None] == batch.session_BL[:, None, :]
    return mask_BML & (is_own_BML | (batch.kind_BL == END)[:, None, :])


def memory_mask_BCL(batch: TokenBatch, is_hierarchical: bool) -> Tensor:
    """Return which tokens stand before each cut.

    The end token of a session that goes on past a cut stands where its last event does, so that cut does not see it.
    is_hierarchical: all tokens of the newest session before the cut, of older ones their end tokens alone.
    """
    is_token_BL = batch.kind_BL != PADDING
    mask_BCL = (batch.at_BL[:, None, :] < batch.cutoff_BC[:, :, None]) & is_token_BL[:, None, :]
    if not is_hierarchical:
        return mask_BCL
    is_newest_BCL = batch.session_BL[:, None, :] == newest_session_BC(batch)[:, :, None]
    return mask_BCL & (is_newest_BCL | (batch.kind_BL == END)[:, None, :])


def newest_session_BC(batch: TokenBatch) -> Tensor:
    """Return the ordinal of the last session that began before each cut, -1 where none did."""
    is_before_BCL = (batch.at_BL[:, None, :] < batch.cutoff_BC[:, :, None]) & (batch.kind_BL != PADDING)[:, None, :]
    return torch.where(is_before_BCL, batch.session_BL[:, None, :], -1).amax(-1)
