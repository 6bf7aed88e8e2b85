"""Attention masks: which positions each token and each cutoff may see.

Shape letters: B users, L tokens, M tokens as queries, C cutoffs.
"""

import torch
from torch import Tensor

from model.transformer.tokens import END, PADDING, TokenBatch


def encoder_mask_BML(batch: TokenBatch, is_hierarchical: bool) -> Tensor:
    """Return which tokens each token may see: itself and the tokens before it.

    is_hierarchical: of older sessions only the end tokens.
    """
    length = batch.kind_BL.shape[1]
    is_before_ML = torch.ones(length, length, dtype=torch.bool, device=batch.kind_BL.device).tril()
    mask_BML = is_before_ML.expand(len(batch.kind_BL), -1, -1)
    if not is_hierarchical:
        return mask_BML
    is_same_session_BML = batch.session_BL[:, :, None] == batch.session_BL[:, None, :]
    return mask_BML & (is_same_session_BML | (batch.kind_BL == END)[:, None, :])


def memory_mask_BCL(batch: TokenBatch, is_hierarchical: bool) -> Tensor:
    """Return which tokens lie before each cutoff.

    The end token has the moment of the last event, so a cutoff within a session does not see the session's end token.
    is_hierarchical: all tokens of the newest session before the cutoff, and only the end tokens of older sessions.
    """
    is_token_BL = batch.kind_BL != PADDING
    mask_BCL = (batch.at_BL[:, None, :] < batch.cutoff_BC[:, :, None]) & is_token_BL[:, None, :]
    if not is_hierarchical:
        return mask_BCL
    is_newest_BCL = batch.session_BL[:, None, :] == newest_session_BC(batch)[:, :, None]
    return mask_BCL & (is_newest_BCL | (batch.kind_BL == END)[:, None, :])


def newest_session_BC(batch: TokenBatch) -> Tensor:
    """Return the index of the last session that began before each cutoff, -1 if there is none."""
    is_before_BCL = (batch.at_BL[:, None, :] < batch.cutoff_BC[:, :, None]) & (batch.kind_BL != PADDING)[:, None, :]
    return torch.where(is_before_BCL, batch.session_BL[:, None, :], -1).amax(-1)
