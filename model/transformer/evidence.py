"""Why a tag, by the Transformer: the sessions that its interests looked at.

Shape letters: B users, I chosen tags, K interests, T tags, L tokens, S sessions of a user, V evidence.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model.arrays import Floats, Ints, Texts
from model.scorer import EVIDENCE_PER_INTEREST
from model.transformer.anchored import Reading
from model.transformer.network import InterestTransformer
from model.transformer.session_vectors import session_ids_US


@torch.no_grad()
def attended_sessions_BIV(networks: Sequence[InterestTransformer], reading: Reading, tag_BI: Ints) -> Texts:
    """Return the sessions that speak for each tag, strongest first; None where there are fewer.

    How strongly a session speaks for a tag is summed over the interests: the part of the tag's probability that is the
    interest's, times what the interest takes from the tokens of the session in the last cross-attention; the mean over
    the networks. So the sessions are the user's own, but a tag that the user never touched has evidence too: what made
    the networks think of it.

    tag_BI: places in the vocabulary; what stands at -1 is void.
    """
    tags = torch.from_numpy(np.maximum(tag_BI, 0)).to(reading.batch.session_BL.device)
    strength_BIS = torch.stack(
        [
            strength_of_sessions_BIS(
                _responsibility_BIK(answer.interests.log_share_BCK[:, 0], answer.interests.log_tag_BCKT[:, 0], tags),
                network.interests.attention_BCKL(answer.memory_BLD, reading.batch)[:, 0],
                reading.batch.session_BL,
            )
            for network, answer in zip(networks, reading.answers, strict=True)
        ]
    ).mean(0)
    return _strongest_BIV(strength_BIS.double().cpu().numpy(), session_ids_US(reading.asked.tokens))


def strength_of_sessions_BIS(responsibility_BIK: Tensor, attention_BKL: Tensor, session_BL: Tensor) -> Tensor:
    """Return how strongly each session, oldest first, speaks for each tag: 1 in all, less what no token was given."""
    strength_BIL = responsibility_BIK @ attention_BKL
    sessions = int(session_BL.max()) + 1
    strength_BIS = strength_BIL.new_zeros((*strength_BIL.shape[:2], sessions))
    return strength_BIS.scatter_add_(2, session_BL[:, None].expand_as(strength_BIL), strength_BIL)


def _responsibility_BIK(log_share_BK: Tensor, log_tag_BKT: Tensor, tag_BI: Tensor) -> Tensor:
    """Return which part of a tag's probability each interest brings in."""
    log_tag_BKI = log_tag_BKT.gather(2, tag_BI[:, None].expand(-1, log_tag_BKT.shape[1], -1))
    return (log_share_BK[..., None] + log_tag_BKI).softmax(1).transpose(1, 2)


def _strongest_BIV(strength_BIS: Floats, id_BS: Texts) -> Texts:
    """Return the names of the strongest sessions that were looked at, of equals the later first."""
    newest_first_BIS = strength_BIS[..., ::-1]
    order_BIV = np.argsort(-newest_first_BIS, axis=-1, kind="stable")[..., :EVIDENCE_PER_INTEREST]
    session_BIV = strength_BIS.shape[-1] - 1 - order_BIV
    told_BIV = np.full((*strength_BIS.shape[:2], EVIDENCE_PER_INTEREST), None, dtype=object)
    session_id_BIV = id_BS[np.arange(len(id_BS))[:, None, None], session_BIV]
    session_id_BIV[np.take_along_axis(strength_BIS, session_BIV, axis=-1) <= 0] = None
    told_BIV[..., : session_BIV.shape[-1]] = session_id_BIV
    return told_BIV
