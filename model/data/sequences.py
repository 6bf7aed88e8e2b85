"""Reads `interest.sequences` at one snapshot: one as-of day at a time, or all rows in batches of a few thousand.

No file is ever held whole. PyIceberg's own batch reader (0.12) gathers every batch of a file, and of several files at
once, before it returns the first. So a plain file is read here by its row groups; a file with deletes, or of an older
schema, is left to PyIceberg. sql/ddl/sequences.sql declares the columns for Spark.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table

from model.data.days import DAYS_SEEN, UTC_MOMENT, partition_day
from model.errors import InputError

CATALOG = "throughline"  # Spark uses the same name
TABLE = ("interest", "sequences")
ROWS_AT_ONCE = 4096
STRAY_GAP_DAYS = 7
REAL_SHARE = 0.05  # of the rows of a typical day; a log neither begins nor ends with a day of fewer

# The `large_` types, as PyIceberg gives them: one array may then hold more than 2 GiB of session ids.
SEQUENCES = pa.schema(
    [
        ("user_id", pa.large_string()),
        ("as_of", pa.date32()),
        ("item", pa.large_list(pa.int64())),
        ("tags", pa.large_list(pa.large_list(pa.large_string()))),
        ("action", pa.large_list(pa.large_string())),
        ("weight", pa.large_list(pa.float64())),
        ("event_at", pa.large_list(UTC_MOMENT)),
        ("session_id", pa.large_list(pa.large_string())),
        ("event_count", pa.int64()),
        ("first_event_at", UTC_MOMENT),
        ("last_event_at", UTC_MOMENT),
        ("excluded_item", pa.large_list(pa.int64())),
    ]
)


def sequences_with(columns: tuple[str, ...]) -> pa.Schema:
    return pa.schema([SEQUENCES.field(column) for column in columns])


def require_sequences(found: pa.Schema, wanted: pa.Schema) -> None:
    """Raise InputError if `found` lacks a column of `wanted` or has one whose type cannot be cast."""
    missing = [name for name in wanted.names if name not in found.names]
    if missing:
        raise InputError(
            f"interest.sequences lacks {', '.join(missing)}: found {', '.join(found.names)}; the table is of "
            f"another version of this software: see CHANGELOG.md"
        )
    for field in wanted:
        try:
            pa.array([], found.field(field.name).type).cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                f"interest.sequences.{field.name} is {found.field(field.name).type}, expected {field.type}: "
                f"the table is of another version of this software: see CHANGELOG.md"
            ) from None


@dataclass(frozen=True)
class SequencesSnapshot:
    """One state of the table. A table that was never written has no snapshot and no rows."""

    table: Table
    snapshot_id: int | None
    schema: pa.Schema
    first: date
    last: date

    def read(self, day: date) -> pa.Table:
        """Return the rows as of `day`, one per user with news on it."""
        if day not in self.days_with_rows:
            return self.schema.empty_table()
        rows = self.table.scan(
            row_filter=f"as_of = '{day}'",
            selected_fields=tuple(self.schema.names),
            snapshot_id=self.snapshot_id,
        ).to_arrow()
        return rows.select(self.schema.names).cast(self.schema)

    @cached_property
    def days_with_rows(self) -> frozenset[date]:
        """A quiet day costs no scan."""
        return frozenset(partition_day(task.file.partition[0]) for task in self.files)

    @cached_property
    def rows_of_day(self) -> Counter[date]:
        """The number of rows by as-of day, before deletes: one for each user with news on it."""
        rows: Counter[date] = Counter()
        for task in self.files:
            rows[partition_day(task.file.partition[0])] += task.file.record_count
        return rows

    @property
    def span(self) -> tuple[date, date] | None:
        """The first and the last day of the log; see `span_of_days`."""
        return span_of_days(self.rows_of_day)

    @cached_property
    def files(self) -> Sequence[FileScanTask]:
        """Planned once from manifests: the files of the days from `first` to `last`; each is of one day."""
        if self.snapshot_id is None:
            return ()
        wanted = f"as_of >= '{self.first}' and as_of <= '{self.last}'"
        return tuple(self.table.scan(row_filter=wanted, snapshot_id=self.snapshot_id).plan_files())

    @property
    def row_count(self) -> int:
        """Count the rows of `files`, before deletes."""
        return sum(task.file.record_count for task in self.files)


def open_sequences(catalog: Catalog, branch: str, first: date, last: date, schema: pa.Schema) -> SequencesSnapshot:
    """Open the table at the head of `branch` if it has that ref, else of main, for as-of days from `first` to `last`.

    Raises InputError if there is no such table or it lacks a column of `schema`.
    """
    try:
        table = catalog.load_table(TABLE)
    except NoSuchTableError:
        raise InputError(
            f"no table {'.'.join(TABLE)} in catalog {catalog.name}: run `throughline sequences` first"
        ) from None
    require_sequences(table.schema().as_arrow(), schema)
    head = table.snapshot_by_name(branch) or table.snapshot_by_name("main")
    return SequencesSnapshot(table, head.snapshot_id if head else None, schema, first, last)


def span_of_days(rows: Mapping[date, int]) -> tuple[date, date] | None:
    """Return the first and the last day of a log with real volume; None if there is no day.

    Runs of days are separated by more than a week without rows. A run before the first or after the last with as many
    rows as a typical day (the median by rows) is of stray events: one broken clock must not move a training. Nor must a
    few events on the days next to the others: the first and the last day have REAL_SHARE of a typical day at least.

    rows: number of rows by as-of day.
    """
    if not rows:
        return None
    days = sorted(rows)
    runs = [[days[0]]]
    for day in days[1:]:
        if day - runs[-1][-1] > timedelta(days=STRAY_GAP_DAYS):
            runs.append([])
        runs[-1].append(day)
    by_volume = sorted(rows.values())
    typical = by_volume[bisect_left(list(accumulate(by_volume)), sum(by_volume) / 2)]
    real = [run for run in runs if sum(rows[day] for day in run) >= typical]
    with_volume = [day for run in real for day in run if rows[day] >= REAL_SHARE * typical]
    return with_volume[0], with_volume[-1]


def first_day_read(first_scored: date) -> date:
    """Return the oldest as-of day that can hold the newest row of a user seen within 90 days."""
    return first_scored - timedelta(days=DAYS_SEEN - 1)


def known_by_day(read: Callable[[date], pa.Table], days: Sequence[date]) -> Iterator[tuple[date, pa.Table]]:
    """Yield for each of the consecutive `days` the newest row of every user with a row as of the 90 days up to it.

    Goes backwards from the first day, so that every row is copied once at most, then forwards: what is held
    is one row a user, never the history.

    read: gives the rows as of a day, one per user.
    """
    known = read(days[0])
    for back in range(1, DAYS_SEEN):
        known = with_newest(known, read(days[0] - timedelta(days=back)))
    for day in days:
        if day != days[0]:
            known = without_older_than(first_day_read(day), with_newest(read(day), known))
        known = known.combine_chunks()
        yield day, known


def with_newest(newer: pa.Table, older: pa.Table) -> pa.Table:
    """Return `newer`, and the rows of `older` whose users are not in it. Both: one row per `user_id`."""
    is_superseded = pc.is_in(older["user_id"], value_set=newer["user_id"].combine_chunks())
    return pa.concat_tables([newer, older.filter(pc.invert(is_superseded))])


def without_older_than(day: date, known: pa.Table) -> pa.Table:
    is_kept = pc.greater_equal(known["as_of"], pa.scalar(day, pa.date32()))
    return known if pc.all(is_kept).as_py() is not False else known.filter(is_kept)


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
