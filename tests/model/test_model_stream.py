"""Sequences are read a few rows at a time, and as PyIceberg would."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

import model.data.sequences as stream
from model.data.history import HISTORY_COLUMNS
from model.data.sequences import SequencesSnapshot, open_sequences, sequences_with
from tests.bench.generated_sequences import SEQUENCES_TABLE, new_catalog

DAY = date(2026, 3, 31)


@pytest.fixture
def sequences(tmp_path: Path, sequences_of: Callable[..., pa.Table]) -> SequencesSnapshot:
    catalog = new_catalog(tmp_path)
    table = catalog.load_table(SEQUENCES_TABLE)
    table.append(sequences_of([(f"u{number}", "2026-03-31", "a b") for number in range(25)]))
    table.append(sequences_of([("u1", "2026-03-30", "a"), ("old", "2025-01-01", "a")]))
    return open_sequences(catalog, "main", date(2026, 1, 1), DAY, sequences_with(HISTORY_COLUMNS))


@pytest.mark.parametrize("is_plain", [True, False])
def test_no_batch_is_larger_than_asked_for_and_none_is_lost(
    sequences: SequencesSnapshot, monkeypatch: pytest.MonkeyPatch, is_plain: bool
) -> None:
    monkeypatch.setattr(stream, "ROWS_AT_ONCE", 10)
    if not is_plain:
        monkeypatch.setattr(stream, "_is_plain", lambda *_: False)  # as if the file had deletes
    batches = list(stream.batches_of(sequences))
    assert max(map(len, batches)) == 10
    assert sequences.row_count == 26
    read = pa.concat_tables(batches).sort_by([("as_of", "ascending"), ("user_id", "ascending")])
    days = [sequences.read(date(2026, 3, 30)), sequences.read(DAY)]
    assert read == pa.concat_tables(days).sort_by([("as_of", "ascending"), ("user_id", "ascending")])
