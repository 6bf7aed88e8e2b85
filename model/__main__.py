"""`python -m model score --from 2026-01-31 --to 2026-01-31 --branch night_20260131 --run-id try-1`"""

from pathlib import Path
from typing import Annotated

import typer

from model.days import days_from_to, parse_day
from model.errors import told_in_one_line
from model.exchange import Exchange

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Interest models: from sequences to profiles."
)


@app.callback()
def model() -> None:
    """Interest models: from sequences to profiles. Reads Iceberg, writes Parquet, commits nothing."""


@app.command()
def score(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day to score, such as 2026-01-31 (UTC).")],
    last: Annotated[
        str, typer.Option("--to", metavar="DAY", help="Last day to score; the same as --from for one night.")
    ],
    branch: Annotated[
        str,
        typer.Option(metavar="REF", help="Branch of the night, such as night_20260131; main where the table has none."),
    ],
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="Names the folder exchange/ID; letters, digits, _ . - only.")
    ],
    everybody: Annotated[
        bool, typer.Option("--all", help="Score everybody seen within 90 days, not a seventh of those without news.")
    ] = False,
    home: Annotated[
        Path, typer.Option(envvar="THROUGHLINE_HOME", metavar="FOLDER", help="Where state lives; holds exchange/.")
    ] = Path(".throughline"),
) -> None:
    """Write the interest profiles of each day from --from to --to to exchange/ID.

    A day's profiles are of users with news on it and of a seventh of the others seen within 90 days;
    the last day of a range is of everybody seen within 90 days. PYICEBERG_HOME says where the catalog is configured.

    Exit codes: 0 done, 1 the input is at fault, 2 wrong usage, 3 anything else (a retry may help).
    """
    with told_in_one_line():
        days = days_from_to(parse_day(first), parse_day(last))
        exchange = Exchange(home, run_id)
        # Not above, as PyIceberg reads its settings when it is imported, and may find fault with them.
        from model.nightly import score_night

        score_night(days, branch, exchange, everybody)


if __name__ == "__main__":
    app(prog_name="python -m model")
