"""The commands `throughline landed list`, `drop` and `move`."""

from typing import Annotated

import typer

from pipeline.days import parse_day
from pipeline.terminal import open_console

app = typer.Typer(
    help="List the landed days, and drop or move one that a broken clock or a wrong file made.", no_args_is_help=True
)
console = open_console()
OfSource = Annotated[str, typer.Option("--source", help="The source that landed the day.")]
LandedDay = Annotated[str, typer.Option("--day", help="The landed day, such as 1990-01-01.")]


@app.command("list")
def list_days() -> None:
    """List the landed days of all sources with their lines; days far from all others are marked."""
    from pipeline.runner.landed import print_days

    print_days(console)


@app.command("drop")
def drop(source: OfSource, day: LandedDay) -> None:
    """Delete the landed lines of a day of a source. Its events disappear with the next night.

    Example: throughline landed drop --source shop --day 1990-01-01
    """
    from pipeline.runner.landed import change_day

    change_day(source, parse_day(day), None, console)


@app.command("move")
def move(
    source: OfSource,
    day: LandedDay,
    to: Annotated[str, typer.Option("--to", help="The arrival day that the lines get.")],
) -> None:
    """Give the landed lines of a day another arrival day. Their times stay as they are.

    Example: throughline landed move --source shop --day 2026-01-31 --to 2026-02-01
    """
    from pipeline.runner.landed import change_day

    change_day(source, parse_day(day), parse_day(to), console)
