"""`python -m model score --from 2026-01-31 --to 2026-01-31 --branch night_20260131 --run-id try-1`
`python -m model train --through 2026-02-01 --run-id training_20260201`
`python -m model evaluate --as-of 2026-01-25 --run-id evaluation_20260125`
`python -m model export-sessions --day 2026-01-31 --out sessions.parquet`
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from model.data.days import days_from_to, parse_day
from model.data.exchange import Exchange, require_run_id
from model.errors import exit_with_message

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Interest models: from sequences to profiles."
)

Home = Annotated[
    Path, typer.Option(envvar="THROUGHLINE_HOME", metavar="FOLDER", help="Where state lives: exchange/ and mlruns/.")
]


@app.callback()
def about() -> None:
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
    model: Annotated[
        str,
        typer.Option(
            metavar="as-of|none|VERSION",
            help="as-of: for each day the newest promoted version trained through it or before, else counts-1; "
            "none: the built-in counts-1; or the version to use for all days.",
        ),
    ] = "as-of",
    home: Home = Path(".throughline"),
) -> None:
    """Write the interest profiles of each day from --from to --to to exchange/ID.

    A day's profiles are of users with news on it and of a seventh of the others seen within 90 days;
    the last day of a range is of everybody seen within 90 days. PYICEBERG_HOME says where the catalog is configured.

    Exit codes: 0 done, 1 the input is at fault, 2 wrong usage, 3 anything else (a retry may help).
    """
    with exit_with_message():
        days = days_from_to(parse_day(first), parse_day(last))
        exchange = Exchange(home, run_id)
        # Not above, as PyIceberg reads its settings when it is imported, and may find fault with them.
        from model.scoring import score_night

        score_night(days, branch, exchange, everybody, model)


@app.command()
def train(
    through: Annotated[
        str, typer.Option(metavar="DAY", help="Last day that the model may know, such as 2026-02-01 (UTC).")
    ],
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="Names the training in the registry; letters, digits, _ . - only.")
    ],
    promote: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Let a winner score nights, or register it only.")
    ] = True,
    challengers: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Who learns and is judged: boosting, transformer or both.")
    ] = "boosting,transformer",
    size: Annotated[
        str,
        typer.Option(
            envvar="THROUGHLINE_TRANSFORMER_SIZE",
            metavar="laptop|server|gpu",
            help="How large the Transformer's network is: width 64, 128 or 256, 2, 4 or 8 blocks.",
        ),
    ] = "laptop",
    ranks: Annotated[
        int,
        typer.Option(
            envvar="THROUGHLINE_TRAIN_RANKS",
            min=1,
            metavar="COUNT",
            help="Processes of this machine that train a network together: one a GPU.",
        ),
    ] = 1,
    home: Home = Path(".throughline"),
) -> None:
    """Train challengers on what was known through a day; promote the best of those that win.

    They are judged on the 7 days up to --through, which they have not seen, against the champion and the built-in
    counts-1. One wins if its nDCG@10 lies above that of the better opponent for certain (95 %). The last line says how
    it ended for the leading one. Killed, it goes on under the same --run-id where it was.

    Exit codes: 0 done, won or lost; 1 the input is at fault; 2 wrong usage; 3 anything else (a retry may help).
    """
    with exit_with_message():
        day = parse_day(through)
        require_run_id(run_id)
        # Threads that wait by spinning slow each other down where cores are shared: 2 minutes instead of 25 s.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from model.transformer.distributed import launch_ranks, should_launch_ranks

        if should_launch_ranks(ranks):
            launch_ranks(ranks, sys.argv[1:])
            return
        from model.training.weekly import TrainingRequest, train_week

        told = train_week(TrainingRequest(day, run_id, promote, tuple(challengers.split(",")), size), home)
        if told:
            print(told)


@app.command()
def evaluate(
    as_of: Annotated[
        str,
        typer.Option("--as-of", metavar="DAY", help="Last day that contestants may know, such as 2026-01-25 (UTC)."),
    ],
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="Names the evaluation in MLflow; letters, digits, _ . - only.")
    ],
    horizon_days: Annotated[
        int, typer.Option(metavar="DAYS", help="How many days after --as-of are foretold, usually 7 or 1.")
    ] = 7,
    branch: Annotated[
        str, typer.Option(metavar="REF", help="Branch of the table of sequences to read; main is what is published.")
    ] = "main",
    transformer: Annotated[
        bool, typer.Option("--transformer", help="Train the Transformer too and judge it; minutes more.")
    ] = False,
    home: Home = Path(".throughline"),
) -> None:
    """Judge baselines, the built-in counts-1 and the champion by what users did after a day, and write a page.

    Everybody is tuned on the window before --as-of and judged on the one after it, which none has seen. Written to
    evaluations/DAY-HASH under the home: report.html and report.json. The last line says who won and where the page is.

    Exit codes: 0 done; 1 the input is at fault, or a contestant knows the future; 2 wrong usage; 3 anything else.
    """
    with exit_with_message():
        day = parse_day(as_of)
        require_run_id(run_id)
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in train
        from model.evaluation.command import EvaluationRequest, run_evaluation

        print(run_evaluation(EvaluationRequest(day, horizon_days, run_id, branch, transformer), home))


@app.command()
def export_sessions(
    day: Annotated[str, typer.Option(metavar="DAY", help="As of the end of which day, such as 2026-01-31 (UTC).")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Parquet file to write; replaced if it is there.")],
    branch: Annotated[
        str, typer.Option(metavar="REF", help="Branch of the table of sequences to read; main is what is published.")
    ] = "main",
    home: Home = Path(".throughline"),
) -> None:
    """Write the vector of every session known by the end of a day, as the newest promoted Transformer sees it.

    One row a session: user_id, session_id, as_of, model_version, vector. Vectors of two versions do not compare.

    Exit codes: 0 done; 1 no Transformer was promoted by then, or the input is at fault; 2 wrong usage; 3 else.
    """
    with exit_with_message():
        as_of = parse_day(day)
        from model.transformer.session_vectors import export_session_vectors

        print(export_session_vectors(as_of, out, branch, home))


if __name__ == "__main__":
    app(prog_name="python -m model")
