"""From the sequences known by a day to a file of session vectors."""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog

from model.choice import TRANSFORMER
from model.errors import InputError
from model.history import HISTORY_COLUMNS, history_of
from model.nightly import CATALOG
from model.registry import Registry, newest_promoted
from model.sequences import first_day_read, known_by_day, open_sequences
from model.sequences_schema import sequences_with
from model.transformer.artifact import read_model
from model.transformer.session_vectors import SESSION_VECTORS, vectors_of_sessions

USERS_AT_ONCE = 4096  # bounds memory


def export_session_vectors(day: date, out: Path, branch: str, home: Path) -> str:
    """Write the vectors of the sessions known by the end of `day` and return in one line what was written.

    The file is there under its name only when it is whole.
    Raises InputError if no Transformer was promoted by then, or if the table is missing or of another version.
    """
    registry = Registry(home)
    versions = [version for version in registry.versions() if version.kind == TRANSFORMER]
    version = newest_promoted(versions, day)
    if version is None:
        known = ", ".join(one.name for one in versions) or "none"
        raise InputError(
            f"no promoted Transformer may know {day}: found {known}; sessions have vectors by a {TRANSFORMER} only "
            f"that won a training (`throughline train`) through {day} or earlier"
        )
    model = read_model(registry.folder_of(version))
    schema = sequences_with(HISTORY_COLUMNS)
    sequences = open_sequences(load_catalog(CATALOG), branch, first_day_read(day), day, schema)
    ((_, known_rows),) = known_by_day(sequences.read, [day])
    unfinished = out.with_name(f".{out.name}.unfinished")
    sessions = 0
    with pq.ParquetWriter(unfinished, SESSION_VECTORS, compression="zstd") as writer:
        for start in range(0, len(known_rows), USERS_AT_ONCE):
            history = history_of(known_rows.slice(start, USERS_AT_ONCE))
            for rows in vectors_of_sessions(model, version.name, history, day):
                writer.write_table(rows)
                sessions += len(rows)
    unfinished.replace(out)
    return f"{sessions} sessions by {version.name} in {out}"
