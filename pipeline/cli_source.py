"""The commands `throughline source new` and `check`, `landed list`, `drop` and `move`, and `items replay`."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pipeline.days import parse_day, parse_day_or_none
from pipeline.landing.landed_days import drop_day, move_day
from pipeline.landing.locks import source_locked
from pipeline.landing.log_days import plausible_days
from pipeline.landing.zone import LandingZone
from pipeline.runner.run import prepare_environment
from pipeline.settings import load_settings
from pipeline.terminal import open_console
from pipeline.warehouse.lease import lease_held

app = typer.Typer(
    help="Make the TOML of a log, and try it before anything lands.\n\nThe first step with a log of your own: "
    "`throughline source new FILE` writes a TOML; `throughline source check TOML FILE` tries it after you changed it.",
    no_args_is_help=True,
)
landed = typer.Typer(
    help="List the landed days, and drop or move one that a broken clock or a wrong file made.", no_args_is_help=True
)
items = typer.Typer(help="Run days again with the catalogues that landed later.", no_args_is_help=True)
console = open_console()
Files = Annotated[list[Path], typer.Argument(help="Files or folders of one log; compressed files are unpacked.")]
OfSource = Annotated[str, typer.Option("--source", help="The source that landed the day.")]
LandedDay = Annotated[str, typer.Option("--day", help="The landed day, such as 1990-01-01.")]


@app.command("new")
def new(
    paths: Files,
    name: Annotated[str | None, typer.Option("--name", help="Name of the source. Default: that of the file.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="TOML to write. Default: NAME.toml.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the TOML if it exists.")] = False,
) -> None:
    """Guess the TOML of a log: format, columns, time format, event types; write it, and try it on the first lines.

    Every choice comes with the counts that speak for it. Where the log does not say enough, the TOML has the
    alternatives as comments marked NOT SURE, and the command ends with exit code 1. Nothing lands.

    Example: throughline source new clicks-2026-03-*.csv --name shop
    """
    from pipeline.runner.source import new_source

    new_source(paths, name, output, force, console)


@app.command("check")
def check(
    toml: Annotated[str, typer.Argument(help="Your TOML, or the name of a built-in source.")], paths: Files
) -> None:
    """Show what a TOML would accept and refuse of the first 10,000 lines of a log, with one example for each reason.

    Nothing lands and nothing is written. The exit code is 1 if a night would refuse such a log.

    Example: throughline source check shop.toml clicks-2026-03-01.csv
    """
    from pipeline.runner.source import check_source

    check_source(toml, paths, console)


@landed.command("list")
def list_days() -> None:
    """List the landed days of all sources with their lines; days far from all others are marked."""
    zone = LandingZone(load_settings().landing_folder)
    days = [day for file in zone.source_files() for day in zone.days(file.parent.name).values()]
    if not days:
        console.print("nothing has landed yet")
        return
    limits = plausible_days(days)
    shown = Table("day", "source", "lines", "")
    for one in sorted(days, key=lambda day: (day.day, day.source)):
        is_stray = one.lines and not limits.earliest <= one.day <= limits.latest
        notes = [f"{one.in_place:,} in place"] if one.in_place else []
        notes += ["far from all others"] if is_stray else []
        shown.add_row(str(one.day), Text(one.source), f"{one.lines:,}", ", ".join(notes))
    console.print(shown)


@landed.command("drop")
def drop(source: OfSource, day: LandedDay) -> None:
    """Delete the landed lines of a day of a source. Its events disappear with the next night.

    Example: throughline landed drop --source shop --day 1990-01-01
    """
    _change_day(source, parse_day(day), None)


@landed.command("move")
def move(
    source: OfSource,
    day: LandedDay,
    to: Annotated[str, typer.Option("--to", help="The arrival day that the lines get.")],
) -> None:
    """Give the landed lines of a day another arrival day. Their times stay as they are.

    Example: throughline landed move --source shop --day 2026-01-31 --to 2026-02-01
    """
    _change_day(source, parse_day(day), parse_day(to))


def _change_day(source: str, day: date, to: date | None) -> None:
    """Move the lines of a landed day to another day, or drop them (`to` is None), under the lease.

    Raises InputError if the source or the day has not landed.
    """
    settings = prepare_environment(console)
    zone = LandingZone(settings.landing_folder)
    # The lease before the lock, as a backup does: else each would wait for the other.
    with lease_held(settings, f"landed_{source}", day), source_locked(settings, source):
        changed = move_day(zone, source, day, to) if to else drop_day(zone, source, day)
    what = f"moved {changed.lines:,} lines of {source} from {day} to {to}" if to else (
        f"dropped {changed.lines:,} lines of {source} of {day}; to undo it, land their files with --again"
    )  # fmt: skip
    console.print(f"{what}\nThe next night cleans the day again, if it was cleaned before", soft_wrap=True)


@items.command("replay")
def replay_items(
    source: Annotated[str, typer.Option("--source", help="The name of a source whose catalogues have landed.")],
    first: Annotated[str | None, typer.Option("--from", help="Start on this day, not on the first landed one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and run nothing.")] = False,
) -> None:
    """Apply all landed catalogues to earlier days too, and run these days again.

    A catalogue that lands later changes no earlier day by itself. The days run as one whole night: if a step or gate
    fails, nothing is published, and the catalogues apply to the same days as before.

    Example: throughline items replay --source my_shop --from 2026-01-05
    """
    from pipeline.runner.replay import replay_items as replay

    replay(source, parse_day_or_none(first), dry_run, console)
