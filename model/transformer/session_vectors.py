"""The vectors of sessions, user by user, ready to be written. Shape letters: S sessions, D width."""

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import torch

from model.arrays import Texts
from model.days import end_of_day
from model.errors import InputError
from model.history import History
from model.transformer.anchored import pieces
from model.transformer.batch import batch_of
from model.transformer.interest_model import InterestModel
from model.transformer.layout import Tokens, layout
from model.transformer.network import session_vectors
from model.transformer.questions import MOST_TOKENS
from model.transformer.tensors import on

SESSION_VECTORS = pa.schema(
    [
        ("user_id", pa.string()),
        ("session_id", pa.string()),
        ("as_of", pa.date32()),
        ("model_version", pa.string()),
        ("vector", pa.list_(pa.float32())),
    ]
)


@torch.no_grad()
def vectors_of_sessions(model: InterestModel, version: str, history: History, as_of: date) -> Iterator[pa.Table]:
    """Yield tables of SESSION_VECTORS, one row for each session of the newest 512 tokens of each user.

    The vector is what the first network's encoder says at the session's end token; what came at the end of `as_of` or
    later does not exist, so a session that goes on past it ends there.
    Raises InputError if the model has no session tokens.
    """
    if not model.size.has_session_tokens:
        raise InputError(f"{version} was trained without session tokens, so its sessions have no vectors: train again")
    end = end_of_day(as_of)
    past = history.before(end)
    past = past.of_users(past.event_counts_U() > 0)
    for _, some in pieces(past):
        tokens = layout(some, model.vocabulary)
        batch = on(batch_of(tokens, np.arange(some.users), [[end]] * some.users, MOST_TOKENS), model.device)
        told = session_vectors(model.networks[0].encode(batch), batch)
        vector_SD, user_S, session_S = (one.cpu() for one in told)
        width = vector_SD.shape[1]
        id_US = session_ids_US(tokens)
        offsets = pa.array(np.arange(len(vector_SD) + 1) * width, pa.int32())
        columns = {
            "user_id": pa.array(some.user_id_U[user_S.numpy()], pa.string()),
            "session_id": pa.array(id_US[user_S.numpy(), session_S.numpy()], pa.string()),
            "as_of": pa.repeat(pa.scalar(as_of, pa.date32()), len(vector_SD)),
            "model_version": pa.repeat(pa.scalar(version, pa.string()), len(vector_SD)),
            "vector": pa.ListArray.from_arrays(offsets, pa.array(vector_SD.float().numpy().ravel())),
        }
        yield pa.table(columns, schema=SESSION_VECTORS)


def session_ids_US(tokens: Tokens) -> Texts:
    """Return the name of each session by user and ordinal, oldest first; None where a user has fewer."""
    id_US = np.full((tokens.users, int(tokens.session_N.max()) + 1), None, dtype=object)
    id_US[tokens.user_N, tokens.session_N] = tokens.session_id_N
    return id_US
