"""`throughline doctor --deep`: whether each file of the newest release is there and whole."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from rich.console import Console

from pipeline.analyst.release import NAMESPACE, newest_release

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile

SHOWN = 5


def check_files(catalog: "Catalog", console: Console) -> bool:
    """Print a line per table of the newest release about its data files; return whether all are there and whole.

    A file is whole if it has the bytes that its manifest says and a footer with as many rows. Values are not read.
    Raises InputError if nothing is published.
    """
    release = newest_release(catalog, None)
    is_whole = True
    for name in sorted(release.snapshots):
        try:
            count, problems = _check_table(catalog, name, release.snapshots[name])
        except OSError as error:  # metadata are missing
            count, problems = 0, [str(error)]
        is_whole = is_whole and not problems
        if problems:
            more = f" and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
            shown = "; ".join(problems[:SHOWN])
            console.print(f"✗ {name}: {len(problems):,} of {count:,} files: {shown}{more}", style="red", soft_wrap=True)
        else:
            console.print(f"✓ {name}: {count:,} files, there and whole")
    if not is_whole:
        console.print(
            f"{release} is not whole: restore a backup, or land its logs in a new THROUGHLINE_HOME", soft_wrap=True
        )
    return is_whole


def _check_table(catalog: "Catalog", name: str, snapshot: int) -> tuple[int, list[str]]:
    table = catalog.load_table((NAMESPACE, name))
    tasks = list(table.scan(snapshot_id=snapshot).plan_files())
    files = [file for task in tasks for file in (task.file, *task.delete_files)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda file: _problem(table.io, file), files))
    return len(files), [problem for problem in found if problem]


def _problem(io: "FileIO", file: "DataFile") -> str:
    """Return what is wrong with a data file; nothing if it is whole."""
    try:
        opened = io.new_input(file.file_path)
        if len(opened) != file.file_size_in_bytes:
            return f"{file.file_path} has {len(opened):,} bytes, expected {file.file_size_in_bytes:,}"
        with opened.open() as stream:
            rows = pq.ParquetFile(stream).metadata.num_rows
        return (
            "" if rows == file.record_count else f"{file.file_path} has {rows:,} rows, expected {file.record_count:,}"
        )
    except FileNotFoundError:
        return f"{file.file_path} is missing"
    except (OSError, ValueError) as error:
        return f"{file.file_path} cannot be read: {str(error).splitlines()[0]}"
