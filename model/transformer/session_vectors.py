"""The vectors of sessions, from the sequences known on a day to a Parquet file.

Shape letters: S sessions of a batch, U users of a batch, D width.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyiceberg.catalog import load_catalog

from model.data.days import days_in_words, end_of_day
from model.data.history import HISTORY_COLUMNS, History, history_of
from model.data.item_tags import read_item_tags
from model.data.sequences import CATALOG, first_day_read, known_by_day, open_sequences, sequences_with
from model.errors import InputError
from model.registry import newest_promoted, registry_of
from model.transformer.dataset import MAX_TOKENS
from model.transformer.model import KIND, InterestModel, read_model
from model.transformer.network import session_vectors
from model.transformer.predict import session_ids_US, user_batches
from model.transformer.tensors import to_device
from model.transformer.tokens import token_batch, tokenize

SESSION_VECTORS = pa.schema(
    [
        ("user_id", pa.string()),
        ("session_id", pa.string()),
        ("as_of", pa.date32()),
        ("model_version", pa.string()),
        ("vector", pa.list_(pa.float32())),
    ]
)
USERS_PER_SLICE = 4096  # bounds memory


@torch.no_grad()
def vectors_of_sessions(model: InterestModel, version: str, history: History, as_of: date) -> Iterator[pa.Table]:
    """Yield tables of SESSION_VECTORS: one row for each session in the newest 512 tokens of each user.

    A vector is the output of the first network's encoder at the end token of the session. Events at the end of `as_of`
    or later are ignored, so a session that goes on after it ends there.
    Raises InputError if the model has no session tokens.
    """
    if not model.config.has_session_tokens:
        raise InputError(f"{version} was trained without session tokens, so it has no session vectors: train again")
    end = end_of_day(as_of)
    past = history.before(end)
    past = past.of_users(past.event_counts_U() > 0)
    for _, users in user_batches(past):
        tokens = tokenize(users, model.vocabulary)
        batch = to_device(token_batch(tokens, np.arange(users.users), [[end]] * users.users, MAX_TOKENS), model.device)
        vectors = session_vectors(model.networks[0].encode(batch), batch)
        vector_SD, user_S, session_S = (one.cpu() for one in vectors)
        width = vector_SD.shape[1]
        id_US = session_ids_US(tokens)
        offsets = pa.array(np.arange(len(vector_SD) + 1) * width, pa.int32())
        columns = {
            "user_id": pa.array(users.user_id_U[user_S.numpy()], pa.string()),
            "session_id": pa.array(id_US[user_S.numpy(), session_S.numpy()], pa.string()),
            "as_of": pa.repeat(pa.scalar(as_of, pa.date32()), len(vector_SD)),
            "model_version": pa.repeat(pa.scalar(version, pa.string()), len(vector_SD)),
            "vector": pa.ListArray.from_arrays(offsets, pa.array(vector_SD.float().numpy().ravel())),
        }
        yield pa.table(columns, schema=SESSION_VECTORS)


def export_session_vectors(day: date, out: Path, branch: str, home: Path, horizon_days: int) -> str:
    """Write the vectors of the sessions known by the end of `day` and return a one-line summary.

    The file appears under its name only when it is complete.
    Raises InputError if no Transformer was promoted by then, or if the table is missing or of another version.
    """
    registry = registry_of(home)
    versions = [version for version in registry.versions() if version.kind == KIND]
    version = newest_promoted(versions, day, horizon_days)
    if version is None:
        known = ", ".join(one.name for one in versions) or "none"
        raise InputError(
            f"no Transformer promoted for a horizon of {days_in_words(horizon_days)} may know {day}: found {known}; "
            f"session vectors need a {KIND} that was promoted "
            f"by a training (`throughline train`) through {day} or earlier"
        )
    model = read_model(registry.folder_of(version))
    schema = sequences_with(HISTORY_COLUMNS)
    catalog = load_catalog(CATALOG)
    sequences = open_sequences(catalog, branch, first_day_read(day), day, schema)
    ((_, known_rows),) = known_by_day(sequences.read, [day])
    known_rows = read_item_tags(catalog, branch).with_tags(known_rows, day, version.clusters_through)
    unfinished = out.with_name(f".{out.name}.unfinished")
    sessions = 0
    with pq.ParquetWriter(unfinished, SESSION_VECTORS, compression="zstd") as writer:
        for start in range(0, len(known_rows), USERS_PER_SLICE):
            history = history_of(known_rows.slice(start, USERS_PER_SLICE))
            for rows in vectors_of_sessions(model, version.name, history, day):
                writer.write_table(rows)
                sessions += len(rows)
    unfinished.replace(out)
    return f"{sessions} sessions by {version.name} in {out}"
