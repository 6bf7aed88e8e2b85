"""The commands of `throughline`. Each one starts processes or calls a function; none holds logic of its own."""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.cli_analyst import app as analyst
from pipeline.cli_backup import app as backups
from pipeline.cli_erasure import app as erasure
from pipeline.cli_source import app as source_commands
from pipeline.cli_source import items, landed
from pipeline.days import day_range, parse_day, parse_day_or_none
from pipeline.errors import Terminated, ThroughlineError, describe, is_fault_of_machine, raise_on_sigterm
from pipeline.local import postgres
from pipeline.local.catalog import require_own_server
from pipeline.runner.commands import (
    NEWEST_MODEL,
    STEPS,
    evaluate_command,
    land_command,
    maintain_command,
    train_command,
)
from pipeline.runner.process import StepFailed
from pipeline.runner.run import (
    airflow_login_info,
    open_catalog,
    prepare_environment,
    run_all,
    run_clusters,
    run_night,
    run_parts,
)
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file
from pipeline.terminal import open_console

app = typer.Typer(
    help="Turn a clickstream into interest profiles.\n\nFirst `throughline source new` makes the TOML of a log. Then "
    "`throughline land` the log, `throughline run` its days, and `throughline query` the profiles. All state lies in "
    "THROUGHLINE_HOME, by default .throughline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(analyst)
app.add_typer(erasure)
app.add_typer(backups)
app.add_typer(source_commands, name="source")
app.add_typer(landed, name="landed")
app.add_typer(items, name="items")
console = open_console()

Day = Annotated[str | None, typer.Option("--day", help="The day (UTC), such as 2026-01-31.")]
From = Annotated[str | None, typer.Option("--from", help="First day of a range. A range is one process per task.")]
To = Annotated[str | None, typer.Option("--to", help="Last day of a range.")]
RunId = Annotated[str | None, typer.Option("--run-id", help="Name of the run. The default is one name per day.")]
Model = Annotated[
    str,
    typer.Option(help="as-of: the newest model promoted by each day; none: the built-in counts; or a model version."),
]
Through = Annotated[
    str | None, typer.Option("--through", help="Last day of the data. The default is the day of the newest release.")
]


@app.command()
def land(
    paths: Annotated[
        list[str], typer.Argument(help="Files or folders, also s3://bucket/folder; .gz and .zst files are unpacked.")
    ],
    source: Annotated[
        str, typer.Option("--source", help="demo, taobao, or the path of your own TOML (start from template.toml).")
    ],
    arrival_day: Annotated[
        str | None, typer.Option("--arrival-day", help="Land all lines on this day, whatever their times.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Land files once more whose landed lines were lost; nothing doubles.")
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Copy nothing: nights read the files where they lie. Folders name the day."),
    ] = False,
) -> None:
    """Copy a log into the landing zone, every line, by arrival day.

    The arrival day of a line is the UTC date of its received_at, else of its event_at, else that of the line before.
    A day far from those of the other lines of the file is implausible: its lines are rejected, and it opens no day.
    A file that has landed already is refused.

    Example: throughline land --source taobao UserBehavior.csv, or
    throughline land --source my_shop.toml --in-place s3://logs/shop/dt=2026-01-31
    """
    toml = source_file(source)
    load_source(toml)
    parse_day_or_none(arrival_day)
    run_all([land_command(toml, paths, arrival_day, again, in_place)], prepare_environment(console), console, "land")


@app.command(
    help=f"""Run whole nights: {", ".join(STEPS)}.

    Earlier landed days that were never cleaned are cleaned too. A range leaves out stretches of more than 30 days on
    which nothing landed. Analysts see nothing until the audit has passed.

    Example: throughline run --from 2026-01-05 --to 2026-02-01
    """
)
def run(
    day: Day = None, first: From = None, last: To = None, run_id: RunId = None, model: Model = NEWEST_MODEL
) -> None:
    wanted = day_range(day, first, last)  # before anything starts
    settings = prepare_environment(console)
    parts = run_parts(wanted, settings, console)
    for part in parts:
        of_part = run_id if part == parts[-1] else None
        run_night(STEPS, part, of_part, settings, console, model=model)


def _add_step(step: str) -> None:
    def command(day: Day = None, first: From = None, last: To = None, run_id: RunId = None) -> None:
        run_night([step], day_range(day, first, last), run_id, prepare_environment(console), console)

    def score(
        day: Day = None,
        first: From = None,
        last: To = None,
        run_id: RunId = None,
        all_users: Annotated[
            bool, typer.Option("--all", help="Score all users seen within 90 days, not only those with new events.")
        ] = False,
        model: Model = NEWEST_MODEL,
    ) -> None:
        days = day_range(day, first, last)
        run_night([step], days, run_id, prepare_environment(console), console, score_all=all_users, model=model)

    example = f"One step of `throughline run`.\n\nExample: throughline {step} --day 2026-01-31"
    app.command(step, help=f"{STEPS[step].summary}\n\n{example}")(score if step == "score" else command)


for name in STEPS:
    _add_step(name)


@app.command()
def train(
    through: Through = None,
    run_id: RunId = None,
    promote: Annotated[bool, typer.Option(help="Promote the challenger if it wins; nights then score with it.")] = True,
    decoder: Annotated[
        str | None,
        typer.Option(
            metavar="interests|sequence",
            help="sequence: train the Transformer whose second decoder emits tags one by one, and save it for `run "
            "--model`, also if it does not win. The default is interests, which ranks better.",
        ),
    ] = None,
) -> None:
    """Train challengers and evaluate them against champion and baselines on held-out days; promote one that wins.

    Example: throughline train --through 2026-01-31
    """
    parse_day_or_none(through)
    settings, last = prepare_environment(console), _day_or_newest(through)
    run_all([train_command(last, run_id, promote, decoder)], settings, console, f"train-{last}")


@app.command()
def evaluate(
    as_of: Annotated[str, typer.Option("--as-of", help="Cutoff: models see this day and earlier ones only.")],
    horizon_days: Annotated[
        int | None,
        typer.Option(
            "--horizon-days",
            min=1,
            max=28,
            help="Number of days after it to predict. The default is horizon_days of the home.",
        ),
    ] = None,
    transformer: Annotated[
        bool, typer.Option("--transformer", help="Train and evaluate the Transformer too, which takes minutes more.")
    ] = False,
    run_id: RunId = None,
) -> None:
    """Evaluate baselines, the built-in counts and the champion on the days after a cutoff; write a page with charts.

    The last line names the best model, its lead and the page.

    Example: throughline evaluate --as-of 2026-01-24
    """
    day = parse_day(as_of)
    settings = prepare_environment(console)
    horizon_days = horizon_days or settings.horizon_days
    run_all([evaluate_command(day, horizon_days, run_id, transformer)], settings, console, f"evaluate-{day}")


@app.command()
def clusters(through: Through = None) -> None:
    """Cluster the items of sources without tags at once; nights do it by themselves when a log has doubled.

    Applies to sources that name items and no tags, or whose TOML has `[clusters]` with a count. Items of the same
    sessions share a cluster, which is a tag of theirs. A day that already has a version keeps it.

    Example: throughline clusters --through 2026-01-31
    """
    parse_day_or_none(through)
    settings = prepare_environment(console)
    run_clusters(_day_or_newest(through), settings, console)


@app.command()
def maintain() -> None:
    """Keep the home from growing: merge small files, expire old snapshots, delete orphan files, old logs and scores.

    The newest release of each of the last 90 days stays readable (setting keep_release_days). No row changes. It waits
    for a running night. The DAG interest_maintenance does the same each Sunday.
    """
    run_all([maintain_command()], prepare_environment(console), console, "maintain")


@app.command()
def doctor(
    cluster: Annotated[bool, typer.Option("--cluster", help="Try catalog, S3, lease and Spark with a table.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Check that each file of the newest release is there and whole.")
    ] = False,
) -> None:
    """Check what is installed, reachable and configured, and say how to fix what is not."""
    from pipeline.local.cluster_checks import check_cluster
    from pipeline.local.doctor import check_files, run_checks

    settings = load_settings()
    if not run_checks(settings, console) or (cluster and not check_cluster(settings, console)):
        raise typer.Exit(ThroughlineError.exit_code)
    if deep and not check_files(open_catalog(console), console):
        raise typer.Exit(ThroughlineError.exit_code)


@app.command()
def setup() -> None:
    """Start the local PostgreSQL and fetch Spark's jars; later starts need no network."""
    settings = prepare_environment(console)
    console.print("[green]✓[/] ready; all state lies in", escape(str(settings.home)), markup=True)


@app.command()
def up() -> None:
    """Start Airflow in the background: scheduler, triggerer, DAG processor and web UI, on loopback only."""
    from pipeline.local.airflow import start_airflow

    settings = prepare_environment(console)
    is_new = start_airflow(settings, console)
    console.print(f"[green]✓[/] Airflow is up{'' if is_new else ' already'}", markup=True)
    console.print(airflow_login_info(settings), markup=True)


@app.command()
def down() -> None:
    """Stop Airflow, the Spark engine and the local PostgreSQL. Data stays, and commands start again what they need."""
    from pipeline.local.airflow import stop_airflow
    from pipeline.local.engine import stop_engine
    from pipeline.local.scratch import delete_ended

    settings = load_settings()
    require_own_server(settings)
    servers = {"Airflow": stop_airflow, "the Spark engine": stop_engine, "PostgreSQL": postgres.stop}
    stopped = [name for name, stop in servers.items() if stop(settings)]
    delete_ended(settings)
    console.print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def airflow(context: typer.Context) -> None:
    """Run a command of Airflow's command line on the local Airflow.

    Example: throughline airflow backfill create --dag-id interest_nightly --from-date 2026-01-31 --to-date 2026-02-01
    """
    from pipeline.local.airflow import airflow_program
    from pipeline.local.airflow_config import airflow_environment

    program = str(airflow_program())
    os.execve(program, [program, *context.args], dict(airflow_environment(prepare_environment(console))))


@app.command()
def demo(
    log: Annotated[
        Path | None, typer.Option("--log", help="Your own file or folder instead of the made-up shop.")
    ] = None,
    source: Annotated[str, typer.Option("--source", help="The source of --log: a name or a TOML.")] = "demo",
    nights: Annotated[int, typer.Option(min=0, help="Number of last days that Airflow backfills.")] = 2,
) -> None:
    """Run the pipeline on a made-up log, or on yours, with the last days under Airflow; then show profiles.

    The home of an earlier demo is moved aside.
    """
    from pipeline.demo.demo import run_demo

    run_demo(load_settings(), log, source, nights, console)


def _day_or_newest(text: str | None) -> date:
    from pipeline.analyst.release import newest_release

    return parse_day(text) if text else newest_release(open_catalog(console), None).as_of


def main() -> None:
    """Run a command. An error becomes one clear line and the exit code of `pipeline.errors`."""
    raise_on_sigterm()
    try:
        app()
    except (StepFailed, Terminated, ThroughlineError) as error:
        open_console(stderr=True).print(f"throughline: {error}", soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if not is_fault_of_machine(error):
            raise
        open_console(stderr=True).print(f"throughline: {describe(error)}", soft_wrap=True)
        sys.exit(ThroughlineError.exit_code)
