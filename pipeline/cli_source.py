"""The commands `throughline source new` and `source check`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.terminal import open_console

app = typer.Typer(
    help="Make the TOML of a log, and try it before anything lands.\n\nThe first step with a log of your own: "
    "`throughline source new FILE` writes a TOML; `throughline source check TOML FILE` tries it after you changed it.",
    no_args_is_help=True,
)
console = open_console()
Files = Annotated[list[Path], typer.Argument(help="Files or folders of one log; compressed files are unpacked.")]


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
