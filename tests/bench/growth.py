"""`make bench growth`: what a home holds after many nights, with maintenance once a week.

A tiny log runs night after night, and with each night the clock of all its processes moves on a day, so that what is
deleted by age goes as it would in a year. After each maintenance the table shows bytes by kind, files and snapshots. At
the end the tables are compared with those of a twin that ran all days as one range, and each released day is read once.
The last line says what a night adds in the second half, when the setting keep_release_days, here 28, has begun to bind:
rows, and all else. All else depends little on the number of lines, so its share is largest in a log as tiny as this.

python -m tests.bench.growth [--nights 56] [--quick]
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pipeline.analyst.release import newest_release
from pipeline.warehouse.names import NIGHT_TABLES
from tests.bench.chaos.home import TABLES, ChaosHome
from tests.bench.clock import Clock, why_no_clock
from tests.bench.machine import machine
from tests.bench.tiny_homes import tiny_home
from tests.bench.tiny_log import day_file, days_from, write_tiny_log

RESULTS = Path(__file__).with_name("results") / "growth.json"
FIRST_DAY = date(2026, 1, 5)
USERS, VISITS = 9, 8
NIGHTS, NIGHTS_A_WEEK = 56, 7
KEEP_DAYS = 28
NIGHT, EVENING = time(3), time(20)  # when a day is run, and when maintenance
KINDS = {
    "data files": "warehouse/**/data/**/*",
    "metadata": "warehouse/**/metadata/*",
    "landing zone": "landing/**/*",
    "PostgreSQL": "postgres/**/*",
    "logs": "logs/**/*",
    "reports": "reports/**/*",
    "Data Docs": "data_docs/**/*",
    "exchange": "exchange/**/*",
}
Sizes = Mapping[str, int]


def sizes(home: ChaosHome) -> Sizes:
    """Return the bytes of a home by kind, those of the newest release, and how many files and snapshots there are."""
    files = {kind: [file for file in home.home.glob(pattern) if file.is_file()] for kind, pattern in KINDS.items()}
    catalog = home.catalog()
    release = newest_release(catalog, None)
    tables = {name: catalog.load_table(f"interest.{name}") for name in NIGHT_TABLES}
    live = [
        task.file.file_size_in_bytes
        for name, of_table in tables.items()
        for task in of_table.scan(snapshot_id=release.snapshots[name]).plan_files()
    ]
    return {
        **{kind: sum(file.stat().st_size for file in found) for kind, found in files.items()},
        "live": sum(live),
        "files": len(files["data files"]) + len(files["metadata"]),
        "live files": len(live),
        "snapshots": sum(len(of_table.snapshots()) for of_table in tables.values()),
    }


def after(day: date, at: time) -> datetime:
    """Return a moment of the day after a day."""
    return datetime.combine(day + timedelta(days=1), at)


def run_nights(home: ChaosHome, log: Path, days: Sequence[date], a_week: int, clock: Clock) -> list[dict[str, object]]:
    """Run a night per day and maintenance after each week; return the sizes before and after each maintenance.

    A day is landed and run in the night after it, by `clock`.
    """
    found: list[dict[str, object]] = []
    with Progress() as progress:
        task = progress.add_task("nights", total=len(days))
        for start in range(0, len(days), a_week):
            week = days[start : start + a_week]
            for day in week:
                with clock.at(after(day, NIGHT), home.home):
                    home.do_all([["land", "--source", "demo", str(day_file(log, day))], ["run", "--day", str(day)]])
                progress.advance(task)
            before = sizes(home)
            with clock.at(after(week[-1], EVENING), home.home):
                home.do("maintain")
            found.append({"nights": start + len(week), "before": before, "after": sizes(home)})
    return found


def added_a_night(first: Mapping[str, object], last: Mapping[str, object]) -> Mapping[str, float]:
    """Return the bytes that a night added between two maintenances: live rows, landed lines, and all else."""
    (before, after), nights = (
        (_sizes(first, "after"), _sizes(last, "after")),
        int(str(last["nights"])) - int(str(first["nights"])),
    )
    added = {kind: (after[kind] - before[kind]) / nights for kind in (*KINDS, "live")}
    rows = added["live"] + added["landing zone"]
    return {**added, "all else": sum(added[kind] for kind in KINDS) - rows, "rows": rows}


def _sizes(found: Mapping[str, object], when: str) -> Sizes:
    measured = found[when]
    assert isinstance(measured, dict)
    return measured


def bench_growth(nights: int, a_week: int, console: Console) -> dict[str, object]:
    """Run the nights and the twin; print and return what was found."""
    days = days_from(FIRST_DAY, nights)
    with TemporaryDirectory(prefix="throughline-growth-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        log.mkdir()
        write_tiny_log(log, days, USERS, VISITS)
        clock = Clock(Path(folder) / "clock", after(days[0], time()))
        os.environ.update(clock.variables)  # for all commands; this process keeps the true time
        with tiny_home(Path(folder) / "home", THROUGHLINE_KEEP_RELEASE_DAYS=str(KEEP_DAYS)) as home:
            weeks = run_nights(home, log, days, a_week, clock)
            readable = [
                home.do("query", "--as-of", str(day), "SELECT count(*) FROM profiles") for day in days[-KEEP_DAYS:]
            ]
            of_nights = home.fingerprints()
            with tiny_home(Path(folder) / "twin", engine_home=home.home) as twin:
                twin.do("land", "--source", "demo", str(log))
                twin.do("run", "--from", str(days[0]), "--to", str(days[-1]))
                expected = twin.fingerprints()
    differ = [name for name in TABLES if of_nights[name] != expected[name]]
    middle, last = weeks[(len(weeks) - 1) // 2], weeks[-1]
    shown = [(weeks[0], "after"), (middle, "after"), (last, "before"), (last, "after")]
    table = Table(title=f"a home after nights of {USERS * VISITS} lines: kB, files and snapshots")
    table.add_column("")
    for week, when in shown:
        table.add_column(f"night {week['nights']}, {when} maintenance", justify="right")
    for kind in ("live", *KINDS, "files", "live files", "snapshots"):
        values = [_sizes(week, when)[kind] for week, when in shown]
        is_bytes = kind == "live" or kind in KINDS
        table.add_row(kind, *[f"{value / 1e3:,.0f}" if is_bytes else f"{value:,}" for value in values])
    console.print(table)
    added = added_a_night(middle, last)
    console.print(
        f"a night adds {added['rows'] / 1e3:,.1f} kB of rows and {added['all else'] / 1e3:,.1f} kB of all else; "
        f"{len(readable)} days read; tables that differ from the twin: {', '.join(differ) or 'none'}"
    )
    return {
        "machine": machine(),
        "lines_a_night": USERS * VISITS,
        "keep_release_days": KEEP_DAYS,
        "weeks": weeks,
        "added_a_night": added,
        "differ": differ,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--quick", action="store_true", help="four nights with maintenance, to see that it runs")
    arguments = parser.parse_args()
    if reason := why_no_clock():
        raise SystemExit(f"this benchmark needs a clock of its own: {reason}")
    nights, a_week = (4, 2) if arguments.quick else (arguments.nights, NIGHTS_A_WEEK)
    result = bench_growth(nights, a_week, Console())
    file = RESULTS.with_name("growth-quick.json") if arguments.quick else RESULTS
    file.write_text(json.dumps(result, indent=1) + "\n")
    assert not result["differ"], f"tables differ from those of the twin: {result['differ']}"


if __name__ == "__main__":
    main()
