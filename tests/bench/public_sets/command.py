"""`python -m tests.bench.public_sets`: results to the terminal and to a file, progress to standard error."""

import json
import sys
import time
from pathlib import Path

from rich.console import Console

from model.errors import UsageError
from tests.bench.public_sets.files import data_folder
from tests.bench.public_sets.sets import bench_set
from tests.bench.public_sets.table import tables

TABLE_WIDTH = 120  # also where the output is no terminal


def bench_and_show(public_set: str, quick: bool, out: Path | None) -> None:
    """Run the benchmark of a set.

    Raises UsageError if the folder of `out` does not exist, and what `bench_set` raises.
    """
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: no folder {out.absolute().parent}; create it first")
    started = time.monotonic()

    def progress(doing: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {doing}", file=sys.stderr, flush=True)

    found = bench_set(public_set, data_folder(), quick, progress)
    progress("done")
    console = Console(width=TABLE_WIDTH)
    for table in tables(found):
        console.print(table)
    if out is not None:
        out.write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
