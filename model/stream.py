"""Reads `interest.sequences` a few thousand rows at a time; no file is ever held whole.

PyIceberg's own batch reader (0.12) gathers every batch of a file, and of several files at once, before it gives the
first; so a plain file is read here by its row groups. One with deletes, or of an older schema, is left to PyIceberg.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table

from model.sequences import SequencesSnapshot

ROWS_AT_ONCE = 4096


def batches_of(sequences: SequencesSnapshot) -> Iterator[pa.Table]:
    """Yield the rows as of the days from `first` to `last`, in the order of the files, at most ROWS_AT_ONCE of them."""
    for task in sequences.files:
        for rows in _batches_of_file(sequences, task):
            yield from (rows.slice(start, ROWS_AT_ONCE) for start in range(0, len(rows), ROWS_AT_ONCE))


def _batches_of_file(sequences: SequencesSnapshot, task: FileScanTask) -> Iterator[pa.Table]:
    names = sequences.schema.names
    with sequences.table.io.new_input(task.file.file_path).open() as source:
        file = pq.ParquetFile(source, pre_buffer=False)
        is_plain = _is_plain(task, file, names)
        read = file.iter_batches(ROWS_AT_ONCE, columns=names, use_threads=False) if is_plain else _scan(sequences, task)
        for batch in read:
            yield pa.Table.from_batches([batch]).select(names).cast(sequences.schema)


def _is_plain(task: FileScanTask, file: pq.ParquetFile, names: Sequence[str]) -> bool:
    return not task.delete_files and set(names) <= set(file.schema_arrow.names)


def _scan(sequences: SequencesSnapshot, task: FileScanTask) -> Iterator[pa.RecordBatch]:
    table: Table = sequences.table
    scan = table.scan(selected_fields=tuple(sequences.schema.names), snapshot_id=sequences.snapshot_id)
    return ArrowScan(table.metadata, table.io, scan.projection(), scan.row_filter).to_record_batches([task])
