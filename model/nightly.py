"""From the sequences of a night to its profiles in the exchange folder, told on the terminal."""

import time
from collections.abc import Mapping
from datetime import date
from typing import Any

from pyiceberg.catalog import load_catalog
from rich.console import Console
from rich.progress import Progress

from model.choice import scorer_of_choice
from model.days import clock
from model.exchange import Exchange
from model.history import HISTORY_COLUMNS
from model.registry import Registry
from model.score import manifest, score_days
from model.sequences import first_day_read, open_sequences
from model.sequences_schema import sequences_with
from model.shards import count_for, dealt_out
from model.stream import batches_of

CATALOG = "throughline"  # the name under which Spark keeps it too


def score_night(days: list[date], branch: str, exchange: Exchange, everybody: bool, choice: str) -> None:
    """Score each of the consecutive `days`, and everybody seen within 90 days on the last of several, or on all.

    choice: which model; see `scorer_of_choice`.
    Raises InputError if the table of sequences is missing or of another version, or if the model may not be used.
    """
    started = time.monotonic()
    scorer_as_of = scorer_of_choice(choice, days, Registry(exchange.home))
    schema = sequences_with(HISTORY_COLUMNS)
    sequences = open_sequences(load_catalog(CATALOG), branch, first_day_read(days[0]), days[-1], schema)
    everybody_on = frozenset(days if everybody else days[-1:] if len(days) > 1 else [])
    exchange.clear(days)
    told: dict[date, Mapping[str, Any]] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"scoring {days[0]}", total=len(days))
        count = count_for(sequences.row_count)
        with dealt_out(batches_of(sequences), count, schema, exchange.shards_folder) as shards:
            for some in score_days(shards, days, everybody_on, scorer_as_of, exchange, clock):
                told |= some
                progress.update(task, advance=len(some), description=f"scored {max(some)}")
    snapshots = {} if sequences.snapshot_id is None else {"sequences": sequences.snapshot_id}
    exchange.write_manifest(manifest(told, snapshots, started))
    rows = sum(of_day["rows"] for of_day in told.values())
    console.print(f"{rows} profiles of {len(days)} day(s) in {exchange.folder}", highlight=False, soft_wrap=True)
