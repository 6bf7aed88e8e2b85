"""The commands `throughline erase` and `retain`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError
from pipeline.runner.commands import erase_command, retain_command, train_command
from pipeline.runner.run import open_catalog, prepare_environment, run_all
from pipeline.terminal import open_console

app = typer.Typer()
console = open_console()


@app.command()
def erase(
    request: Annotated[
        Path | None,
        typer.Option(
            "--request",
            help="File of ids of users and devices as the source has them, one a line; mode 600. No id is ever an "
            "argument, so none is in the history of a shell.",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="The source of the ids, where sources have id spaces of their own.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many lines and rows would go, and change nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an erasure that was killed.")] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Then train at once; without it, the next training makes a new model.")
    ] = False,
) -> None:
    """Erase people: from the landing zone, every table and old snapshot, logs, pages and handed-over files.

    Afterwards the tables are those of a warehouse that never had them, and only the newest release can be queried. A
    line that names a device of the request goes, whoever was logged in. Later lines of these people are rejected as
    `erased`, and their texts are removed. A receipt without ids says what was done, which models were trained on their
    data, and what the search at the end found. It waits for a running night, and nights wait for it.

    Example: throughline erase --request ids.txt --dry-run, then throughline erase --request ids.txt
    """
    if (request is None) != resume:
        raise UsageError("name a request with --request FILE, or use --resume alone to go on with one that was killed")
    settings = prepare_environment(console)
    named = str(request.resolve()) if request else None
    run_all([erase_command(named, source, dry_run)], settings, console, "erase")
    if retrain and not dry_run:
        from pipeline.analyst.release import newest_release

        through = newest_release(open_catalog(console), None).as_of
        run_all([train_command(through)], settings, console, f"train-{through}")


@app.command()
def retain() -> None:
    """Delete what is older than the settings allow: landed lines, rejects, sequences, profiles, logs.

    Settings: keep_landing_days, keep_rejects_days, keep_sequences_days, keep_profiles_days (off unless set) and
    keep_log_days (30). Days count back from the newest cleaned day. Rows go with a new release; old releases keep
    theirs until `throughline maintain` expires them. The DAG interest_retention does the same each day.

    Example: THROUGHLINE_KEEP_REJECTS_DAYS=90 throughline retain
    """
    run_all([retain_command()], prepare_environment(console), console, "retain")
