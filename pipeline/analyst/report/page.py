"""The report of a night as one HTML page: lines, sessions, interests, calibration, gates and times.

The page needs no other file, has no script and fetches nothing. Each part answers one question by a SELECT of
`sql/report`, whose first line is the question.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.release import newest_release
from pipeline.analyst.report import charts
from pipeline.errors import InputError
from pipeline.escape import printable
from pipeline.files import write_whole
from pipeline.settings import MIN_AUDIENCE, ROOT, Settings

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

SQL = ROOT / "sql" / "report"
PAGES = "????-??-??.html"  # one a day
TEXT_SHOWN = 300  # characters of a value
Rows = Sequence[Mapping[str, Any]]
Chart = Callable[[Rows], Markup]


@dataclass(frozen=True)
class Part:
    """A part of the page. name: of its SQL. chart: draws its rows; without one the rows are a table."""

    name: str
    heading: str
    chart: Chart | None = None
    if_empty: str = "There is nothing to show."

    @property
    def sql(self) -> str:
        return (SQL / f"{self.name}.sql").read_text(encoding="utf-8")

    @property
    def question(self) -> str:
        return self.sql.splitlines()[0].removeprefix("-- ")


PARTS = (
    Part("lines", "Lines", if_empty="Nothing landed on this day: it counts as empty."),
    Part("rejects", "Rejected lines", if_empty="No line was rejected."),
    Part("rows_made", "Rows made"),
    Part("lateness", "Late arrivals"),
    Part("bots", "People and bots"),
    Part("session_hours", "Sessions by hour", partial(charts.columns, x="hour", y="session_count")),
    Part("session_lengths", "Sessions by length", partial(charts.columns, x="events", y="session_count")),
    Part(
        "interests",
        "Interests",
        partial(charts.bars, y="tag", x="expected_user_count", change="mean_trend"),
        "No interest has an audience large enough to be shown.",
    ),
    Part(
        "drift",
        "Drift",
        partial(charts.line, x="as_of", y="total_variation"),
        "There is no earlier night to compare with.",
    ),
    Part(
        "calibration",
        "Calibration",
        partial(charts.diagonal, x="mean_affinity", y="came_true_share"),
        "No affinities end with this day, or events carry no tags.",
    ),
    Part("cohorts", "Models and cohorts"),
    Part("gates", "Quality gates", if_empty="The release does not hold the rules that were checked."),
    Part("step_times", "Times"),
)


def write_report(catalog: "Catalog", day: date, folder: Path, min_audience: int = MIN_AUDIENCE) -> Path:
    """Write the page of a day, `<folder>/<day>.html`, and the index of all pages; return the page's file.

    Raises InputError if no night of the newest release ran the day.
    """
    file = folder / f"{day}.html"
    write_whole(file, render_report(catalog, day, min_audience))
    _write_index(folder)
    return file


def delete_pages(settings: Settings, first_kept: date) -> int:
    """Delete the reports of days before `first_kept`, and the pages of their quality gates; return how many.

    `throughline report --day` writes the report of such a day again.
    """
    deleted = 0
    for folder in (settings.reports_folder, settings.data_docs_folder):
        old = [page for page in folder.glob(PAGES) if page.stem < str(first_kept)]
        for page in old:
            page.unlink()
        if old and folder == settings.reports_folder:
            _write_index(folder)
        deleted += len(old)
    return deleted


def _write_index(folder: Path) -> None:
    days = sorted((page.stem for page in folder.glob(PAGES)), reverse=True)
    write_whole(folder / "index.html", template("index").render(days=days))


def render_report(catalog: "Catalog", day: date, min_audience: int = MIN_AUDIENCE) -> str:
    """Return the page of a day, from the newest release. It shows no figure of fewer than `min_audience` users.

    Raises InputError if no night of the release ran the day.
    """
    release = newest_release(catalog, None)
    with connect_to_catalog(catalog) as connection:
        found = connection.sql("SELECT DISTINCT day FROM runs WHERE step = 'clean' ORDER BY day").fetchall()
        ran = [one for (one,) in found]
        if day not in ran:
            days = f"from {ran[0]} to {ran[-1]}" if ran else "none"
            raise InputError(f"{day} is not in {release}: its days are {days}")
        rows = {part.name: rows_of(part, connection, day, min_audience) for part in PARTS}
    parts = [_shown(part, rows[part.name]) for part in PARTS]
    return str(template("page").render(day=day, release=release, parts=parts, lead=_lead(rows)))


def rows_of(
    part: Part, connection: duckdb.DuckDBPyConnection, day: date, min_audience: int = MIN_AUDIENCE
) -> list[dict[str, Any]]:
    """Return the answer to the question of a part."""
    sql = string.Template(part.sql).substitute(day=f"DATE '{day}'", min_audience=min_audience)
    rows: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
    return rows


def _lead(rows: Mapping[str, Rows]) -> Mapping[str, int]:
    """Return the figures of the first sentence."""
    outcomes = ("lines", "accepted", "duplicates", "rejects")
    return {name: sum(row[name] for row in rows["lines"]) for name in outcomes} | dict(rows["rows_made"][0])


def _shown(part: Part, rows: Rows) -> Mapping[str, Any]:
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    return {
        "heading": part.heading,
        "question": part.question,
        "chart": part.chart(plain) if part.chart and rows else None,
        "columns": [
            {"heading": charts.title(name), "is_text": not all(_is_figure(row[name]) for row in rows)}
            for name in (rows[0] if rows else ())
        ],
        "rows": [[_cell(value) for value in row.values()] for row in rows],
        "if_empty": part.if_empty,
    }


def _is_figure(value: Any) -> bool:
    """Return whether a value is a number, or stands for one, as in `fewer than 10`."""
    return not isinstance(value, str) or value.isdecimal() or value.startswith("fewer than ")


def _plain(value: Any) -> Any:
    """Return a value for a chart: SVG allows no control characters."""
    return printable(str(value), TEXT_SHOWN) if isinstance(value, str | date) else value


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return printable(str(value), TEXT_SHOWN)


def template(name: str) -> Template:
    """Return a template of this folder: every value is escaped, and an unknown one is an error."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["count"] = "{:,}".format
    environment.filters["printable"] = partial(printable, limit=TEXT_SHOWN)
    return environment.get_template(f"{name}.html.j2")
