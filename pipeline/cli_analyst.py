"""The commands of analysts: query and explain the released tables, list and replay rejected lines."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from pipeline.copies import EXPORT, remember_copy
from pipeline.days import parse_day, parse_day_or_none
from pipeline.files import place_of
from pipeline.runner.run import open_catalog
from pipeline.settings import load_settings
from pipeline.sources.schema import source_file
from pipeline.terminal import open_console

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

app = typer.Typer()
explain = typer.Typer(help="Explain a user's profile, or what became of a day's lines.", no_args_is_help=True)
rejects = typer.Typer(help="List rejected lines, and replay them with a corrected TOML.", no_args_is_help=True)
export = typer.Typer(help="Write an audience or all profiles to Parquet or CSV.", no_args_is_help=True)
app.add_typer(explain, name="explain")
app.add_typer(export, name="export")
app.add_typer(rejects, name="rejects")
console = open_console()

Reason = Annotated[str | None, typer.Option("--reason", help="Only lines rejected for this reason.")]
Format = Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw",
        help="CSV with texts as they are stored. Without it, a text that a spreadsheet would compute gets a leading '.",
    ),
]
Unpublished = Annotated[
    bool,
    typer.Option("--unpublished", help="Read the run that a gate or a failure stopped, instead of the release."),
]
OfSource = Annotated[
    str | None, typer.Option("--source", help="The source of the id, where sources have id spaces of their own.")
]
AsOf = Annotated[str | None, typer.Option("--as-of", help="Read the release of this day instead of the newest.")]
To = Annotated[
    Path,
    typer.Option(
        "--to",
        parser=place_of,
        metavar="FILE",
        help="The file to write, also s3://bucket/file; its name ends in .parquet or .csv.",
    ),
]


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over the tables and views of the release.")],
    as_of: AsOf = None,
    output_format: Format = "table",
    raw: Raw = False,
) -> None:
    """Run SQL on the released tables.

    `throughline dictionary` documents all tables, views and columns. Views to start from: current_profiles,
    user_interests, tag_audience, interest_trends, interest_movers, interest_pairs, leaving_users, release_changes,
    tag_calibration, night_health, source_health, late_ledger.

    Example: throughline query "SELECT * FROM tag_audience ORDER BY expected_user_count DESC LIMIT 10"
    """
    from pipeline.analyst.query import query as query_release
    from pipeline.analyst.render import render

    day = parse_day_or_none(as_of)
    found = query_release(sql, open_catalog(console), day, load_settings().min_audience)
    _print(render(found, output_format, raw))


@app.command("sql")
def sql_shell(as_of: AsOf = None) -> None:
    """Open an interactive SQL shell on the released tables, with history and completion by the Tab key.

    In Python, `throughline.connect()` returns the same connection.
    """
    from pipeline.analyst.shell import run_shell

    with _connect(as_of) as connection:
        run_shell(connection, console, load_settings().home / "sql_history")


@export.command("audience")
def export_audience(
    tag: Annotated[str, typer.Argument(help="An interest tag, such as one of the view tag_audience.")],
    to: To,
    min_affinity: Annotated[
        float, typer.Option("--min-affinity", min=0, max=1, help="Only users with this probability or more.")
    ] = 0.0,
    as_of: AsOf = None,
    raw: Raw = False,
) -> None:
    """Write the users who have a tag in their newest profile, the highest affinity first.

    An audience smaller than the setting min_audience is not written.

    Example: throughline export audience jazz --min-affinity .5 --to jazz.parquet
    """
    from pipeline.analyst.export import export_audience as write

    settings = load_settings()
    with _connect(as_of) as connection:
        count = write(connection, tag, min_affinity, to, raw, settings.min_audience)
    remember_copy(settings.home, EXPORT, to)
    console.print(f"{count:,} users", markup=False)


@export.command("profiles")
def export_profiles(to: To, as_of: AsOf = None, raw: Raw = False) -> None:
    """Write the newest profile of each user, one row per user.

    Example: throughline export profiles --to profiles.parquet
    """
    from pipeline.analyst.export import export_profiles as write

    settings = load_settings()
    with _connect(as_of) as connection:
        count = write(connection, to, raw, settings.min_audience)
    remember_copy(settings.home, EXPORT, to)
    console.print(f"{count:,} profiles", markup=False)


@explain.command("user")
def explain_user(
    user_id: Annotated[str, typer.Argument(help="The user's id in the source.")],
    source: OfSource = None,
    html: Annotated[
        bool, typer.Option("--html", help="Write a page to THROUGHLINE_HOME/reports instead, with a plot over time.")
    ] = False,
) -> None:
    """Show a user's interests, and the sessions that are the evidence for them.

    The page also shows the interests over time, what changed since the release before and why, and what the return
    probability rests on.
    """
    catalog = open_catalog(console)
    pseudonym = _pseudonyms([user_id], source)[0]
    if html:
        from pipeline.analyst.explain_page import write_explanation

        settings = load_settings()
        file = write_explanation(catalog, pseudonym, settings.home / "reports", settings.min_audience)
        console.print(str(file), soft_wrap=True, markup=False)
    else:
        from pipeline.analyst.explain_user import explain_user as explanation_of

        console.print(explanation_of(catalog, pseudonym))


@explain.command("day")
def explain_day(
    day: Annotated[str, typer.Argument(help="An arrival day, such as 2026-01-31.")], unpublished: Unpublished = False
) -> None:
    """Show what became of a day's lines: lines in = accepted + duplicates + rejects.

    A day that only an unpublished run has is read from that run.

    Example: throughline explain day 2026-01-31
    """
    from pipeline.analyst.explain_day import explain_day as explanation_of

    parsed = parse_day(day)
    console.print(explanation_of(open_catalog(console), parsed, unpublished))


@rejects.command("list")
def list_rejects(
    source: Annotated[str | None, typer.Option("--source", help="Only lines of this source.")] = None,
    reason: Reason = None,
    first: Annotated[str | None, typer.Option("--from", help="Only lines that arrived on this day or later.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Only lines that arrived on this day or earlier.")] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Number of lines to show for each reason.")] = 3,
    output_format: Format = "table",
    raw: Raw = False,
    unpublished: Unpublished = False,
) -> None:
    """List rejected lines by source and reason: how many, on which days, and examples.

    As long as nothing is published, the lines are those of the run that was stopped.

    Example: throughline rejects list --source demo --reason unparsable --examples 10
    """
    from pipeline.analyst import rejects as analyst
    from pipeline.analyst.release import newest_readable
    from pipeline.analyst.render import render
    from pipeline.landing.zone import LandingZone

    chosen = analyst.RejectFilter(source, reason, parse_day_or_none(first), parse_day_or_none(last))
    catalog = open_catalog(console)
    release = newest_readable(catalog, unpublished)
    rows = analyst.list_rejects(catalog, chosen, examples, LandingZone(load_settings().landing_folder), release)
    _print(
        analyst.format_rejects(rows, chosen, release) if output_format == "table" else render(rows, output_format, raw)
    )


@rejects.command("replay")
def replay_rejects(
    source: Annotated[str, typer.Option("--source", help="The corrected TOML of a source that has landed.")],
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            help="Start at the first line with this reason, or of this rule in the TOML's section reject_when.",
        ),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="Start on this day, not on the first with rejected lines.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and run nothing.")] = False,
    run_id: Annotated[
        str | None, typer.Option("--run-id", help="Name of the run. The default names the source.")
    ] = None,
) -> None:
    """Replay rejected lines with a corrected TOML.

    All days from the first with rejected lines to the newest run again. Accepted lines move to events and never double.
    If a step or gate fails, nothing is published, and the source keeps its former TOML.
    It also works if a gate stopped the first night: the days of the stopped run then run again with this TOML.
    Land later logs with the corrected TOML.

    Example: throughline rejects replay --source my.toml --dry-run
    """
    from pipeline.runner.replay import replay_rejects as replay

    replay(source_file(source), reason, parse_day_or_none(first), dry_run, console, run_id)


@app.command()
def report(day: Annotated[str, typer.Option("--day", help="A day that a night of the release ran.")]) -> None:
    """Write the page of a night: its lines, rejects, sessions, interests, calibration, gates and times.

    Each run writes that of its last day. The page lies in THROUGHLINE_HOME/reports/<day>.html, or in the folder of the
    setting reports, beside an index of all nights. It needs no other file.

    Example: throughline report --day 2026-01-31
    """
    from pipeline.analyst.report.page import write_report

    settings = load_settings()
    parsed = parse_day(day)
    file = write_report(open_catalog(console), parsed, settings.reports_folder, settings.min_audience)
    console.print(str(file), soft_wrap=True)


@app.command()
def dictionary(
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write. The default lies beside the reports.")
    ] = None,
) -> None:
    """Write the data dictionary, a page that documents all tables, views and columns.

    By default it is THROUGHLINE_HOME/reports/dictionary.html. It needs no release.
    """
    from pipeline.analyst.dictionary import write_dictionary

    settings = load_settings()
    file = to or settings.reports_folder / "dictionary.html"
    write_dictionary(file, settings.min_audience)
    console.print(str(file), soft_wrap=True, markup=False)


@app.command()
def views(
    dialect: Annotated[str, typer.Option("--dialect", help="spark or trino.")] = "spark",
) -> None:
    """Print the CREATE VIEW statements of all views for another engine.

    The catalog of this home has them for Spark SQL already. For Trino they are in the schema interest_views.
    """
    from pipeline.analyst.dialects import SCHEMAS, create_statements

    statements = create_statements(dialect, load_settings().min_audience)
    for statement in (f"CREATE SCHEMA IF NOT EXISTS {SCHEMAS[dialect]}", *statements.values()):
        print(f"{statement};\n")


@app.command()
def pseudonym(
    ids: Annotated[list[str], typer.Argument(help="User ids as the source has them.")], source: OfSource = None
) -> None:
    """Print the stored form of user ids, one per line.

    Equal ids of two sources are two users, unless their TOMLs name one id space in [identity].
    """
    print("\n".join(_pseudonyms(ids, source)))


@app.command()
def fingerprint(
    table: Annotated[str, typer.Argument(help="A table of the release, such as events.")], as_of: AsOf = None
) -> None:
    """Print the content hash of a table. Equal rows have equal hashes, whichever run wrote them."""
    from pipeline.analyst.fingerprint import fingerprint as content_hash
    from pipeline.analyst.release import newest_release, read_table

    day = parse_day_or_none(as_of)
    catalog = open_catalog(console)
    name = table.removeprefix("interest.")
    print(content_hash(read_table(catalog, newest_release(catalog, day), name), name))


def _connect(as_of: str | None) -> "DuckDBPyConnection":
    from pipeline.analyst.connect import connect_to_catalog

    day = parse_day_or_none(as_of)
    return connect_to_catalog(open_catalog(console), day, load_settings().min_audience)


def _pseudonyms(ids: list[str], source: str | None) -> list[str]:
    from pipeline.landing.zone import LandingZone
    from pipeline.pseudonyms import pseudonym as stored_form
    from pipeline.pseudonyms import pseudonym_key, user_space

    settings = load_settings()
    space = user_space(LandingZone(settings.landing_folder).sources(), source)
    key = pseudonym_key(settings)
    return [stored_form(space, user_id, key) for user_id in ids]


def _print(rendered: RenderableType | bytes) -> None:
    if isinstance(rendered, bytes):
        sys.stdout.buffer.write(rendered)
    elif isinstance(rendered, str):
        sys.stdout.write(rendered)
    else:
        console.print(rendered)
