"""`python -m model score --from 2026-01-31 --to 2026-01-31 --branch night_20260131 --run-id try-1`
`python -m model train --through 2026-02-01 --run-id training_20260201`
`python -m model evaluate --as-of 2026-01-25 --run-id evaluation_20260125`
`python -m model export-sessions --day 2026-01-31 --out sessions.parquet`
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from model.data.days import HORIZON_DAYS, days_from_to, parse_day
from model.data.exchange import Exchange, Part, require_run_id
from model.errors import exit_with_message, require_torch

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Interest models: from sequences to profiles."
)

Home = Annotated[
    Path, typer.Option(envvar="THROUGHLINE_HOME", metavar="FOLDER", help="Where state lives: exchange/ and mlruns/.")
]

Horizon = Annotated[
    int,
    typer.Option(
        envvar="THROUGHLINE_HORIZON_DAYS",
        min=1,
        max=28,
        metavar="DAYS",
        help="How far affinity and return_probability look ahead, usually 7 or 1.",
    ),
]


@app.callback()
def about() -> None:
    """Interest models: from sequences to profiles. Reads Iceberg, writes Parquet, commits nothing."""


@app.command()
def score(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day to score, such as 2026-01-31 (UTC).")],
    last: Annotated[
        str, typer.Option("--to", metavar="DAY", help="Last day to score; the same as --from for one day.")
    ],
    branch: Annotated[
        str,
        typer.Option(
            metavar="REF", help="Branch of the run, such as night_20260131; main where the table has no such branch."
        ),
    ],
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="Names the folder exchange/ID; letters, digits, _ . - only.")
    ],
    all_users: Annotated[
        bool,
        typer.Option("--all", help="Score all users seen within 90 days, also those without new events."),
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            metavar="as-of|none|VERSION",
            help="as-of: each day by the newest promoted version trained through it or earlier, else counts-1; "
            "none: the built-in counts-1; VERSION: all days by this version.",
        ),
    ] = "as-of",
    horizon_days: Horizon = HORIZON_DAYS,
    home: Home = Path(".throughline"),
    exchange_store: Annotated[
        str,
        typer.Option(
            "--exchange",
            envvar="THROUGHLINE_EXCHANGE",
            metavar="FOLDER",
            help="Folder or s3://bucket/folder to which the files of exchange/ID are copied; empty: none.",
        ),
    ] = "",
    part: Annotated[
        str,
        typer.Option(
            metavar="NUMBER/COUNT",
            help="Score a part of the users, such as 2/8; other processes score the others. Each reads all sequences.",
        ),
    ] = "1/1",
) -> None:
    """Write the interest profiles of each day from --from to --to to exchange/ID.

    A day has profiles of the users with new events and of a seventh of the others seen within 90 days, or of more with
    a horizon below 7 days: of all with one of a day, so that no profile is older than what it predicts. The last day
    of a range, and a day that another model scores than the day before, have profiles of all users seen within 90
    days. A version counts only if it was trained for the same horizon. PYICEBERG_HOME names the folder of the
    catalog's settings.

    Exit codes: 0 done, 1 the input is at fault, 2 wrong usage, 3 anything else (a retry may help).
    """
    with exit_with_message():
        days = days_from_to(parse_day(first), parse_day(last))
        exchange = Exchange(home, run_id, exchange_store, Part.parse(part))
        # Imported here: PyIceberg reads its settings on import, and an error in them must be reported as one.
        from model.scoring import score_night

        score_night(days, branch, exchange, all_users, model, horizon_days)


@app.command()
def train(
    through: Annotated[
        str, typer.Option(metavar="DAY", help="Last day of the training data, such as 2026-02-01 (UTC).")
    ],
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="Names the training in the registry; letters, digits, _ . - only.")
    ],
    promote: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Score with a winner from now on, or register it only.")
    ] = True,
    challengers: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Models to train and to test: boosting, transformer or both. The default is both; with --decoder "
            "sequence the transformer.",
        ),
    ] = None,
    decoder: Annotated[
        str,
        typer.Option(
            metavar="interests|sequence",
            help="What the Transformer ranks by: a mixture of learned interests beside other models' scores, or tags "
            "that its second decoder emits one by one. The latter is saved even if it does not win.",
        ),
    ] = "interests",
    size: Annotated[
        str,
        typer.Option(
            envvar="THROUGHLINE_TRANSFORMER_SIZE",
            metavar="laptop|server|gpu",
            help="Size of the Transformer's network: width 64, 128 or 256, 2, 4 or 8 blocks.",
        ),
    ] = "laptop",
    ranks: Annotated[
        int,
        typer.Option(
            envvar="THROUGHLINE_TRAIN_RANKS",
            min=1,
            metavar="COUNT",
            help="Processes of this machine that train a network together: one for each GPU.",
        ),
    ] = 1,
    horizon_days: Horizon = HORIZON_DAYS,
    home: Home = Path(".throughline"),
) -> None:
    """Train challengers on the days through --through; promote the best one that wins.

    They are tested on the last horizon of these days, before they have seen it, against the champion and the built-in
    counts-1; with few users on the last three. A challenger wins if its nDCG@10 is above that of the best opponent with
    a 95 % interval above zero. The last line prints the outcome of the best challenger. A killed run continues under
    the same --run-id.

    Exit codes: 0 done, won or lost; 1 the input is at fault; 2 wrong usage; 3 anything else (a retry may help).
    """
    with exit_with_message():
        day = parse_day(through)
        require_run_id(run_id)
        # Threads that spin while they wait slow each other down on shared cores: 2 minutes instead of 25 s.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        require_torch("a training")
        from model.transformer.distributed import launch_ranks, should_launch_ranks

        if should_launch_ranks(ranks):
            launch_ranks(ranks, sys.argv[1:])
            return
        from model.training.weekly import TrainingRequest, train_week

        names = challengers or ("boosting,transformer" if decoder == "interests" else "transformer")
        request = TrainingRequest(day, run_id, promote, tuple(names.split(",")), size, horizon_days, decoder)
        for line in train_week(request, home):
            print(line)


@app.command()
def evaluate(
    as_of: Annotated[
        str,
        typer.Option("--as-of", metavar="DAY", help="Last day that models may know, such as 2026-01-25 (UTC)."),
    ],
    run_id: Annotated[
        str, typer.Option(metavar="ID", help="Names the evaluation in MLflow; letters, digits, _ . - only.")
    ],
    horizon_days: Horizon = HORIZON_DAYS,
    branch: Annotated[
        str, typer.Option(metavar="REF", help="Branch of the table of sequences to read; main is what is published.")
    ] = "main",
    transformer: Annotated[
        bool, typer.Option("--transformer", help="Train and test the Transformer too; takes minutes more.")
    ] = False,
    home: Home = Path(".throughline"),
) -> None:
    """Test baselines, the built-in counts-1 and the champion on the days after --as-of, and write a page.

    Models are tuned on the window before --as-of and tested on the one after it, which none has seen. Writes
    report.html and report.json to evaluations/DAY-HASH under the home. The last line prints the best model and the
    path of the page.

    Exit codes: 0 done; 1 the input is at fault, or a model has seen the future; 2 wrong usage; 3 anything else.
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
    horizon_days: Horizon = HORIZON_DAYS,
    home: Home = Path(".throughline"),
) -> None:
    """Write the vector of every session known by the end of a day, by the newest Transformer promoted for the horizon.

    One row per session: user_id, session_id, as_of, model_version, vector. Vectors of two versions are not comparable.

    Exit codes: 0 done; 1 no Transformer was promoted by then, or the input is at fault; 2 wrong usage; 3 else.
    """
    with exit_with_message():
        as_of = parse_day(day)
        from model.transformer.session_vectors import export_session_vectors

        print(export_session_vectors(as_of, out, branch, home, horizon_days))


def prepare() -> None:
    """Import what `score` will need for the models of this home, which takes seconds."""
    import model.scoring  # noqa: F401
    from model.model_selection import import_libraries
    from model.registry import registry_of

    import_libraries(registry_of(Path(os.environ["THROUGHLINE_HOME"])))


def main(words: Sequence[str]) -> None:
    """Run a command inside the calling process. Raises SystemExit with its exit code if it fails."""
    app(args=list(words), prog_name="python -m model", standalone_mode=False)


if __name__ == "__main__":
    app(prog_name="python -m model")
