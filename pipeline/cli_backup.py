"""The commands `throughline backup` and `restore`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.copies import BACKUP, remember_copy
from pipeline.errors import ThroughlineError
from pipeline.runner.run import open_catalog, prepare_environment
from pipeline.settings import home_from_environment
from pipeline.terminal import open_console

app = typer.Typer()
console = open_console()


@app.command()
def backup(
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder, on another disk if you can.")],
) -> None:
    """Copy this home to a folder, from which `throughline restore` makes it again, also elsewhere.

    It has all tables with their old releases, the landing zone, models, tombstones, pages and settings.toml. It does
    not have the pseudonym key, which you keep apart, nor the tables of a remote catalog; it prints what is left out. It
    waits for a running night; nights and landings wait for it. Only its owner may read it: it holds the logs as landed.
    No erasure changes it: the receipt of an erasure names the backups that were made before, to be deleted.

    Example: throughline backup --to /mnt/backup/2026-01-31
    """
    from pipeline.backup.make import back_up, not_covered

    settings = prepare_environment(console)
    made = back_up(settings, to.expanduser().resolve(), console)
    remember_copy(settings.home, BACKUP, to)
    console.print(f"{made.files:,} files, {made.bytes / 2**20:.1f} MiB, {len(made.tables)} tables in {to}")
    for line in not_covered(settings):
        console.print(f"not in it: {line}", soft_wrap=True)


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="FROM", help="The folder of a backup.")],
    home: Annotated[
        Path | None,
        typer.Option("--home", help="The new home, a new or empty folder. The default is THROUGHLINE_HOME."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Your copy of the pseudonym key, which no backup holds.")
    ] = None,
) -> None:
    """Make a home of a backup, at any path, and check every file of its newest release.

    Tables, snapshots and releases are those of the backup, and nights go on. If the home that it is of still runs on
    this machine, give the new one its own ports: THROUGHLINE_POSTGRES_PORT and THROUGHLINE_AIRFLOW_PORT.

    Example: throughline restore /mnt/backup/2026-01-31 --home /srv/throughline --key pseudonym.key
    """
    from pipeline.analyst.release import has_releases
    from pipeline.backup.restore import restore as restore_home
    from pipeline.local.doctor import check_files

    made = home.expanduser().resolve() if home else home_from_environment()
    restore_home(folder.expanduser().resolve(), made, key, console)
    catalog = open_catalog(console)
    if has_releases(catalog) and not check_files(catalog, console):
        raise typer.Exit(ThroughlineError.exit_code)
    console.print(f"restored {made}; set THROUGHLINE_HOME to it", soft_wrap=True)
    console.print("people who were erased after this backup are in it: erase them again", soft_wrap=True)
