"""The pipeline in a terminal: the same command lines as the nightly DAG, and the analysts' questions."""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType

from pipeline.days import day_range, parse_day
from pipeline.errors import ThroughlineError
from pipeline.local import postgres
from pipeline.runner.commands import NEWEST_MODEL, STEPS, evaluate_command, land_command, train_command
from pipeline.runner.process import StepFailed
from pipeline.runner.run import airflow_login_info, open_catalog, prepare_environment, run_all, run_clusters, run_night
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file

app = typer.Typer(
    help="From a clickstream to interest profiles.\n\nFirst `throughline land` a log, then `throughline run` its days, "
    "then `throughline query` the profiles. State lives under THROUGHLINE_HOME (default: .throughline here).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
explain = typer.Typer(help="Why this profile; what became of a day's lines.", no_args_is_help=True)
rejects = typer.Typer(help="Refused lines: see why, and take them in once the TOML is mended.", no_args_is_help=True)
app.add_typer(explain, name="explain")
app.add_typer(rejects, name="rejects")
console = Console(highlight=False)

Day = Annotated[str | None, typer.Option("--day", help="The day (UTC), such as 2026-01-31.")]
From = Annotated[str | None, typer.Option("--from", help="First day of a range; one Spark job per step, not a loop.")]
To = Annotated[str | None, typer.Option("--to", help="Last day of a range.")]
RunId = Annotated[str | None, typer.Option("--run-id", help="Which run the step belongs to; one per day by default.")]
Model = Annotated[
    str,
    typer.Option(help="as-of: the newest promoted model of each day; none: the built-in counts; or a version to pin."),
]
Reason = Annotated[str | None, typer.Option("--reason", help="Only lines refused for this reason.")]
Format = Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Read the release of this day instead of the newest.")]


def _day_or_none(text: str | None) -> date | None:
    return parse_day(text) if text else None


@app.command()
def land(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders; .gz and .zst are unpacked.")],
    source: Annotated[
        str, typer.Option("--source", help="demo, taobao, or the path of your own TOML (copy template.toml).")
    ],
    arrival_day: Annotated[
        str | None, typer.Option("--arrival-day", help="Land all lines on this day, whatever they say.")
    ] = None,
) -> None:
    """Take a log into the landing zone: every line kept, by arrival day.

    The arrival day of a line is the UTC date of its received_at, else of its event_at, else that of the line before.
    The same bytes twice are refused.

    Example: throughline land --source taobao UserBehavior.csv
    """
    toml = source_file(source)
    load_source(toml)
    if arrival_day:
        parse_day(arrival_day)
    run_all([land_command(toml, paths, arrival_day)], prepare_environment(console), console, "land")


@app.command()
def run(
    day: Day = None, first: From = None, last: To = None, run_id: RunId = None, model: Model = NEWEST_MODEL
) -> None:
    """Run whole nights: clean, sessions, sequences, score, publish.

    Landed days before the first that were never cleaned are cleaned too. Analysts see nothing until all gates pass.

    Example: throughline run --from 2026-01-05 --to 2026-02-01
    """
    run_night(STEPS, day_range(day, first, last), run_id, prepare_environment(console), console, model=model)


def _add_step(step: str, what: str) -> None:
    def command(day: Day = None, first: From = None, last: To = None, run_id: RunId = None) -> None:
        run_night([step], day_range(day, first, last), run_id, prepare_environment(console), console)

    command.__doc__ = (
        f"{what}\n\nOne step of a night, as in `throughline run`. Example: throughline {step} --day 2026-01-31"
    )
    app.command(step)(command)


_add_step("clean", "Read landed lines; write events, duplicates counted, and rejects with their reason.")
_add_step("sessions", "Cut the events of users with news into sessions.")
_add_step("sequences", "Build the sequence of each user with news, over all sessions.")


@app.command()
def score(
    day: Day = None,
    first: From = None,
    last: To = None,
    run_id: RunId = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Score every user seen within 90 days, not those with news alone.")
    ] = False,
    model: Model = NEWEST_MODEL,
) -> None:
    """Score users and take the scores into the profiles table.

    One step of a night. Example: throughline score --day 2026-01-31 --all
    """
    days = day_range(day, first, last)
    run_night(["score"], days, run_id, prepare_environment(console), console, score_all=everybody, model=model)


_add_step("publish", "Make the night visible to analysts, all tables at once.")


@app.command()
def train(
    through: Annotated[
        str | None, typer.Option("--through", help="The last day to know; by default that of the newest release.")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Names the training; one per day by default.")] = None,
    promote: Annotated[
        bool, typer.Option(help="Let nights score with it if it wins; without, it is judged and kept.")
    ] = True,
) -> None:
    """Train a challenger, judge it against champion and baselines on a week it has not seen; promote it if it wins.

    From then on nights score with it. Example: throughline train --through 2026-01-31
    """
    from pipeline.analyst.release import newest_release

    settings = prepare_environment(console)
    last = parse_day(through) if through else newest_release(open_catalog(console), None).as_of
    run_all([train_command(last, run_id, promote)], settings, console, f"train-{last}")


@app.command()
def evaluate(
    as_of: Annotated[
        str, typer.Option("--as-of", help="The last day that models may know; the days after it judge them.")
    ],
    horizon_days: Annotated[
        int, typer.Option("--horizon-days", min=1, help="How many days after it are foretold, usually 7 or 1.")
    ] = 7,
    transformer: Annotated[
        bool, typer.Option("--transformer", help="Train the Transformer too and judge it; minutes more.")
    ] = False,
    run_id: Annotated[
        str | None, typer.Option("--run-id", help="Names the evaluation; one per day by default.")
    ] = None,
) -> None:
    """Judge baselines, the built-in counts and the champion by what users did after a day; write a page with plots.

    The last line says who won by how much, and where the page is.

    Example: throughline evaluate --as-of 2026-01-24
    """
    settings = prepare_environment(console)
    day = parse_day(as_of)
    run_all([evaluate_command(day, horizon_days, run_id, transformer)], settings, console, f"evaluate-{day}")


@app.command()
def clusters(
    through: Annotated[
        str | None, typer.Option("--through", help="The last day to know; by default that of the newest release.")
    ] = None,
) -> None:
    """Cluster the items of logs without tags by the sessions that touch them; the days after have the clusters as tags.

    For sources with [clusters] in their TOML. A version never changes: the same day again does nothing.

    Example: throughline clusters --through 2026-01-31
    """
    from pipeline.analyst.release import newest_release

    settings = prepare_environment(console)
    last = parse_day(through) if through else newest_release(open_catalog(console), None).as_of
    run_clusters(last, settings, console)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over the tables and views of the release.")],
    as_of: AsOf = None,
    output_format: Format = "table",
) -> None:
    """Ask the released tables in SQL.

    Views to start from: current_profiles, user_interests, interest_trends, tag_audience, night_health, late_ledger.

    Example: throughline query "SELECT * FROM tag_audience ORDER BY expected_user_count DESC LIMIT 10"
    """
    from pipeline.analyst.query import query as ask
    from pipeline.analyst.render import render

    _put_out(render(ask(sql, open_catalog(console), _day_or_none(as_of)), output_format))


def _put_out(rendered: RenderableType | bytes) -> None:
    if isinstance(rendered, bytes):
        sys.stdout.buffer.write(rendered)
    elif isinstance(rendered, str):
        sys.stdout.write(rendered)
    else:
        console.print(rendered)


@explain.command("user")
def explain_user(user_id: Annotated[str, typer.Argument(help="The id as the source has it.")]) -> None:
    """Why a user has this profile: interests, and the sessions that speak for them."""
    from pipeline.analyst.explain import explain_user as explanation
    from pipeline.pseudonyms import pseudonym as hidden
    from pipeline.pseudonyms import pseudonym_key

    catalog = open_catalog(console)
    console.print(explanation(catalog, hidden(user_id, pseudonym_key(load_settings()))))


@explain.command("day")
def explain_day(day: Annotated[str, typer.Argument(help="An arrival day, such as 2026-01-31.")]) -> None:
    """What became of a day's lines: lines in = accepted + duplicates + rejects."""
    from pipeline.analyst.explain import explain_day as explanation

    parsed = parse_day(day)
    console.print(explanation(open_catalog(console), parsed))


@rejects.command("list")
def list_rejects(
    source: Annotated[str | None, typer.Option("--source", help="Only lines of this source.")] = None,
    reason: Reason = None,
    first: Annotated[str | None, typer.Option("--from", help="Only lines that arrived on this day or later.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Only lines that arrived on this day or before.")] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="How many lines to show of each reason.")] = 3,
    output_format: Format = "table",
) -> None:
    """Show which lines were refused: how many of each source and reason, since when, and examples.

    Example: throughline rejects list --source demo --reason unparsable --examples 10
    """
    from pipeline.analyst.rejects import Which, shown_rejects
    from pipeline.analyst.rejects import list_rejects as listed_by_reason
    from pipeline.analyst.render import render

    which = Which(source, reason, _day_or_none(first), _day_or_none(last))
    listed = listed_by_reason(open_catalog(console), which, examples)
    _put_out(shown_rejects(listed, which) if output_format == "table" else render(listed, output_format))


@rejects.command("replay")
def replay_rejects(
    source: Annotated[str, typer.Option("--source", help="The mended TOML, of a source that has landed.")],
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            help="Begin with the first day that has lines refused for this reason, or by this rule of [reject_when].",
        ),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="Begin with this day, instead of the first that has refused lines.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
) -> None:
    """Judge refused lines again by a mended TOML, by running whole nights again.

    All days from the first that has refused lines to the newest: every line of theirs is judged anew, so a line moves
    to events and never doubles; days before stay as they are. If a step or gate fails, nothing is published, and the
    source keeps the TOML that it had. Land later logs with the mended TOML.

    Example: throughline rejects replay --source my.toml --dry-run
    """
    from pipeline.runner.replay import replay_rejects as replay

    replay(source_file(source), reason, _day_or_none(first), dry_run, console)


@app.command()
def pseudonym(ids: Annotated[list[str], typer.Argument(help="User ids as the source has them.")]) -> None:
    """Print the stored form of user ids, one a line."""
    from pipeline.pseudonyms import pseudonym as hidden
    from pipeline.pseudonyms import pseudonym_key

    key = pseudonym_key(load_settings())
    for user_id in ids:
        print(hidden(user_id, key))


@app.command()
def fingerprint(
    table: Annotated[str, typer.Argument(help="A table of the release, such as events.")], as_of: AsOf = None
) -> None:
    """Print the content hash of a table: equal wherever and however often it was computed."""
    from pipeline.analyst.fingerprint import fingerprint as content_hash
    from pipeline.analyst.release import newest_release, read_table

    catalog = open_catalog(console)
    name = table.removeprefix("interest.")
    print(content_hash(read_table(catalog, newest_release(catalog, _day_or_none(as_of)), name), name))


@app.command()
def doctor() -> None:
    """Say what is installed, reachable and configured, and what to do about what is not."""
    from pipeline.local.doctor import examine

    if not examine(load_settings(), console):
        raise typer.Exit(ThroughlineError.exit_code)


@app.command()
def setup() -> None:
    """Start the embedded PostgreSQL and fetch Spark's jars, so that the next start needs no network."""
    prepare_environment(console)
    console.print(f"[green]✓[/] ready; state lives in {load_settings().home}")


@app.command()
def up() -> None:
    """Bring up Airflow in the background: scheduler, triggerer, DAG processor and web UI, on this machine only."""
    from pipeline.local.airflow import start_airflow

    settings = prepare_environment(console)
    is_new = start_airflow(settings, console)
    console.print(f"[green]✓[/] Airflow is up{'' if is_new else ' already'}")
    console.print(airflow_login_info(settings))


@app.command()
def down() -> None:
    """Stop Airflow and the embedded PostgreSQL; data stays, and the next command starts again what it needs."""
    from pipeline.local.airflow import stop_airflow

    settings = load_settings()
    stopped = [name for name, stop in (("Airflow", stop_airflow), ("PostgreSQL", postgres.stop)) if stop(settings)]
    console.print(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def airflow(context: typer.Context) -> None:
    """Run a command of Airflow's own on the embedded Airflow.

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
    nights: Annotated[int, typer.Option(min=0, help="How many of the last days Airflow backfills; 0 is none.")] = 2,
) -> None:
    """Make a log (or take yours), run its days, the last ones under Airflow, and show profiles.

    An older demo home is moved aside.
    """
    from pipeline.demo.demo import run_demo

    run_demo(load_settings(), log, source, nights, console)


def main() -> None:
    """Run the command; errors become one clear line and the exit code of DESIGN.md 5.1."""
    try:
        app()
    except StepFailed as failure:
        Console(stderr=True, highlight=False).print(f"throughline: {failure.reason}", markup=False, soft_wrap=True)
        sys.exit(failure.exit_code)
    except ThroughlineError as error:
        Console(stderr=True, highlight=False).print(f"throughline: {error}", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
