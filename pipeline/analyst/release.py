"""Releases, and tables at exactly the snapshots that a release names.

All reads of analysts go through this module, so they see a night that is not published only where they ask for it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThanOrEqual

from pipeline.analyst.released_files import DataFile, ReleasedTable, in_memory
from pipeline.errors import InputError
from pipeline.warehouse.names import BRANCH_PREFIX, MAIN, NIGHT_TABLES

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table


CATALOG = "throughline"
NAMESPACE = "interest"
RELEASES = "releases"
EVERY_ROW = AlwaysTrue()
WITHOUT_FIELD_IDS = "schema.name-mapping.default"  # the property of a table with files that Iceberg did not write


@dataclass(frozen=True)
class Release:
    """One publication: the last day of its night, and the snapshot id of each table.

    is_published: false for a run that was not published; `published_at` is then the end of its newest step.
    """

    as_of: date
    published_at: datetime
    run_id: str
    snapshots: Mapping[str, int]
    is_published: bool = True

    def __str__(self) -> str:
        """Name it in messages."""
        if self.is_published:
            return f"the release of {self.as_of}"
        return f"run {self.run_id} of {self.as_of}, which is not published"

    @property
    def tables(self) -> list[str]:
        """The tables that can be read, sorted by name."""
        return sorted({*self.snapshots, RELEASES})


def open_catalog(properties: Mapping[str, str] | None = None) -> "Catalog":
    """Open the catalog that is configured in `$PYICEBERG_HOME/.pyiceberg.yaml`; `properties` override what is there.

    Raises InputError if no such catalog is configured.
    """
    # PyIceberg reads its settings when it is imported: by now the caller has set PYICEBERG_HOME.
    from pyiceberg.catalog import load_catalog

    try:
        return load_catalog(CATALOG, **(properties or {}))
    except ValueError as error:
        raise InputError(
            f"no catalog {CATALOG} found: {error}. PYICEBERG_HOME must name the folder of .pyiceberg.yaml "
            f"before the first catalog is opened; `throughline doctor` shows what is configured"
        ) from None


def newest_release(catalog: "Catalog", as_of: date | None) -> Release:
    """Return the release published last; with `as_of` the last one of that day, else of the newest day before.

    Raises InputError if there is none.
    """
    releases = _releases(catalog)
    if not releases and (run := unpublished_run(catalog)):
        raise InputError(
            f"nothing is published yet: {run}, was stopped by a gate or a failure, or still runs; see "
            f"`throughline explain day {run.as_of}` and `throughline rejects list`"
        )
    if not releases:
        raise InputError("nothing is published yet: run a night with `throughline run --day D`, then query again")
    if as_of is None:
        return releases[-1]
    up_to_day = [release for release in releases if release.as_of <= as_of]
    if not up_to_day:
        oldest = min(release.as_of for release in releases)
        raise InputError(
            f"no release as of {as_of} or before: the oldest is of {oldest}; "
            f"give that day or a later one, or run `throughline run --day {as_of}`"
        )
    return sorted(up_to_day, key=lambda release: release.as_of)[-1]  # of one day, the last one published


def has_releases(catalog: "Catalog") -> bool:
    """Return whether anything was ever published."""
    return bool(_releases(catalog))


def unpublished_run(catalog: "Catalog") -> Release | None:
    """Return the run that ended a step and is not published, with its tables on its branch; None if there is none.

    A gate or a failure stopped it, or it still runs. The next run drops its branch.
    """
    try:
        runs = catalog.load_table((NAMESPACE, "runs"))
    except NoSuchTableError:
        return None
    refs = {name: ref.snapshot_id for name, ref in runs.refs().items()}
    left = [name for name, id in refs.items() if name.startswith(BRANCH_PREFIX) and id != refs.get(MAIN)]
    if not left:
        return None
    branch = max(left, key=lambda name: _sequence_number(runs, refs[name]))
    fields = ("day", "run_id", "finished_at")
    rows = runs.scan(snapshot_id=refs[branch], selected_fields=fields).to_arrow().to_pylist()
    newest = max(rows, key=lambda row: row["finished_at"])
    as_of = max(row["day"] for row in rows if row["run_id"] == newest["run_id"])
    snapshots = {}
    for name in NIGHT_TABLES:
        of_table = catalog.load_table((NAMESPACE, name)).refs()
        if ref := of_table.get(branch, of_table.get(MAIN)):
            snapshots[name] = ref.snapshot_id
    return Release(as_of, newest["finished_at"], newest["run_id"], snapshots, is_published=False)


def newest_readable(catalog: "Catalog", unpublished: bool = False) -> Release:
    """Return the newest release; the unpublished run if that is wanted, or if nothing is published.

    Raises InputError if there is none.
    """
    if not unpublished and has_releases(catalog):
        return newest_release(catalog, None)
    if run := unpublished_run(catalog):
        return run
    if not unpublished:
        return newest_release(catalog, None)
    raise InputError("no run is unpublished: every run that ended a step is published; leave out --unpublished")


def read_table(
    catalog: "Catalog",
    release: Release,
    name: str,
    columns: Sequence[str] | None = None,
    row_filter: BooleanExpression = EVERY_ROW,
) -> pa.Table:
    """Return a table's rows at exactly the release's snapshot; `releases` itself is read as it is now.

    columns: all by default. row_filter: a condition on rows; files without such rows are not read.
    Raises InputError if the release does not name the table, or if its snapshot is gone.
    """
    table, snapshot = _released(catalog, release, name)
    fields = ("*",) if columns is None else tuple(columns)
    return table.scan(row_filter=row_filter, selected_fields=fields, snapshot_id=snapshot).to_arrow()


def open_table(catalog: "Catalog", release: Release, name: str, hidden: Collection[str] = frozenset()) -> ReleasedTable:
    """Return a table at exactly the release's snapshot, for DuckDB to read; only its metadata is read now.

    hidden: columns that DuckDB must not see. A table that has one is loaded into memory without it at the first scan.
    So is one whose files DuckDB cannot read as they are: with delete files, without field ids, other than Parquet, or
    in a store that Arrow does not read.
    Raises InputError as `read_table` does.
    """
    # Imported here: it loads pandas, which takes a second, and most commands open no table.
    from pyiceberg.io.pyarrow import PyArrowFileIO

    table, snapshot = _released(catalog, release, name)
    columns = [field.name for field in table.scan(snapshot_id=snapshot).projection().fields]
    shown = tuple(column for column in columns if column not in hidden)
    scan = table.scan(snapshot_id=snapshot, selected_fields=shown)
    schema = scan.projection().as_arrow()

    def files() -> list[DataFile]:
        tasks = list(scan.plan_files())
        is_plain = isinstance(table.io, PyArrowFileIO) and all(
            task.file.file_format == "PARQUET" and not task.delete_files for task in tasks
        )
        if tasks and is_plain and len(shown) == len(columns) and WITHOUT_FIELD_IDS not in table.properties:
            return [DataFile(task.file.file_size_in_bytes, table.io.new_input(task.file.file_path).open)
                    for task in tasks]  # fmt: skip
        return [in_memory(scan.to_arrow().cast(schema))]

    return ReleasedTable(schema, files)


def row_count(catalog: "Catalog", release: Release, name: str) -> int:
    """Return how many rows a table has at the release's snapshot, by its metadata alone."""
    table, snapshot = _released(catalog, release, name)
    current = table.snapshot_by_id(snapshot) if snapshot is not None else table.current_snapshot()
    summary = current.summary if current else None
    return int(summary["total-records"] or 0) if summary else 0


def _released(catalog: "Catalog", release: Release, name: str) -> tuple["Table", int | None]:
    """Return a table and the snapshot to read; None is the current one."""
    if name not in release.tables:
        raise InputError(f"{release} has no table {name!r}: it has {', '.join(release.tables)}")
    table = catalog.load_table((NAMESPACE, name))
    snapshot = release.snapshots.get(name)
    if snapshot is not None and table.snapshot_by_id(snapshot) is None:
        raise InputError(
            f"the release of {release.as_of} names snapshot {snapshot} of {name}, which is gone: "
            f"an erasure or a clean-up removed it; query a newer release"
        )
    return table, snapshot


def _sequence_number(table: "Table", snapshot_id: int) -> int:
    snapshot = table.snapshot_by_id(snapshot_id)
    return (snapshot.sequence_number or 0) if snapshot else 0


def _releases(catalog: "Catalog") -> list[Release]:
    """Return all releases in the order of their numbers, whatever the clock said.

    Those that older versions made have no number; they come first, by their time.
    """
    try:
        table = catalog.load_table((NAMESPACE, RELEASES))
    except NoSuchTableError:
        return []
    # The table of an older home has no number before the first night of this version.
    fields = ("as_of", "published_at", "run_id", "snapshots", *{"number"}.intersection(table.schema().column_names))
    rows = table.scan(selected_fields=fields).to_arrow().to_pylist()
    rows.sort(key=lambda row: (row.get("number") or 0, row["published_at"]))
    return [Release(row["as_of"], row["published_at"], row["run_id"], dict(row["snapshots"])) for row in rows]


# Conditions on rows, which let PyIceberg skip files and row groups. mypy derives the constructors of its expressions,
# which are pydantic models, wrongly.
def equals(column: str, value: str) -> BooleanExpression:
    return EqualTo(column, value)  # type: ignore[call-arg, misc, unused-ignore]


def is_among(column: str, values: Collection[str] | Collection[int]) -> BooleanExpression:
    return In(column, set(values))  # type: ignore[call-arg, misc, unused-ignore]


def is_from(column: str, day: date) -> BooleanExpression:
    return GreaterThanOrEqual(column, day.isoformat())  # type: ignore[call-arg, misc, unused-ignore]


def is_until(column: str, day: date) -> BooleanExpression:
    return LessThanOrEqual(column, day.isoformat())  # type: ignore[call-arg, misc, unused-ignore]


def both(one: BooleanExpression, other: BooleanExpression) -> BooleanExpression:
    return And(one, other)
