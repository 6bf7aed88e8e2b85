"""`make chaos`: nights and maintenance are broken at chosen points; the same command then gives what a twin has.

Each point is a night of a log of its own, in a home with its own engine, PostgreSQL and Iceberg tables. Its twin is
another home that runs the same days undisturbed, as one range. Fifty readers poll the newest release all the time.

python -m tests.bench.chaos [--all] [--only WORDS...]
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from pipeline.errors import raise_on_sigterm
from tests.bench.chaos.breaking import Outcome, break_at
from tests.bench.chaos.home import TABLES, ChaosHome
from tests.bench.chaos.points import MORE, READERS, SHORT, Point
from tests.bench.chaos.surroundings import SURROUNDINGS
from tests.bench.machine import machine
from tests.bench.tiny_homes import tiny_home
from tests.bench.tiny_log import days_from, write_tiny_log

RESULTS = Path(__file__).parents[1] / "results" / "chaos.json"
FIRST_DAY = date(2026, 1, 5)
HISTORY_DAYS = 3
USERS, VISITS = 9, 8


@contextmanager
def two_homes(folder: Path, days: Sequence[date]) -> Iterator[tuple[ChaosHome, ChaosHome]]:
    """Make a home and its twin, with all days landed: one has published the first of them, its twin all."""
    log = folder / "log"
    log.mkdir()
    write_tiny_log(log, days, USERS, VISITS)
    with tiny_home(folder / "home") as home, tiny_home(folder / "twin", engine_home=home.home) as twin:
        landed = ["land", "--source", "demo", str(log)]
        home.do_all([landed, ["run", "--from", str(days[0]), "--to", str(days[HISTORY_DAYS - 1])]])
        twin.do_all([landed, ["run", "--from", str(days[0]), "--to", str(days[-1])]])
        yield home, twin


def run_points(points: Sequence[Point], console: Console) -> Iterator[Outcome]:
    """Run the points one after the other, each on the night that follows; maintenance after it, so that it has work."""
    days = days_from(FIRST_DAY, HISTORY_DAYS + len(points))
    with (
        TemporaryDirectory(prefix="throughline-chaos-", ignore_cleanup_errors=True) as folder,
        two_homes(Path(folder), days) as (home, twin),
    ):
        for point, day in zip(points, days[HISTORY_DAYS:], strict=True):
            console.print(f"{point} ...", highlight=False)
            if point.step == "maintain":
                home.do("run", "--day", str(day))
                outcome = break_at(point, home, ["maintain"], home.fingerprints(), readers=READERS)
            else:
                outcome = break_at(point, home, ["run", "--day", str(day)], twin.fingerprints(day), day, READERS)
            console.print(f"  {outcome.seconds} s", "; ".join(outcome.faults) or "equal", highlight=False)
            yield outcome
        found, expected = home.fingerprints(), twin.fingerprints()
        differ = [name for name in TABLES if found[name] != expected[name]]
        yield Outcome("all nights, at the end", "", 0, 0.0, 0, [f"{name} differs from the twin" for name in differ])


def write_results(outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes of this run over earlier ones of the same points."""
    here = {"readers": READERS, "load": round(os.getloadavg()[0], 1)}
    earlier = json.loads(RESULTS.read_text(encoding="utf-8"))["points"] if RESULTS.is_file() else []
    points = {one["point"]: one for one in [*earlier, *({**asdict(one), **here} for one in outcomes)]}
    found = {"machine": machine(), "points": list(points.values())}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="all points, an hour, instead of a few")
    parser.add_argument("--only", nargs="+", default=[""], help="points that have one of these texts in their name")
    arguments = parser.parse_args()
    console = Console()
    raise_on_sigterm()
    points = [*SHORT, *MORE] if arguments.all else SHORT
    chosen = [point for point in points if any(text in str(point) for text in arguments.only)]
    outcomes: list[Outcome] = []
    for outcome in run_points(chosen, console) if chosen else []:
        outcomes.append(outcome)
        if arguments.all:
            write_results([outcome])
    for name, run in SURROUNDINGS.items() if arguments.all else []:
        if any(text in name for text in arguments.only):
            for outcome in run(name):
                console.print(f"{outcome.point}: {outcome.seconds} s", "; ".join(outcome.faults) or "equal")
                outcomes.append(outcome)
                write_results([outcome])
    table = Table(title="the same command after it was broken")
    for heading in ("broken at", "table", "exit code", "seconds again", "polls", "equal"):
        table.add_column(heading)
    for one in outcomes:
        is_equal = "\n".join(one.faults) or "yes"
        table.add_row(one.point, one.table, str(one.exit_code), f"{one.seconds:.1f}", str(one.polls), is_equal)
    console.print(table)
    sys.exit(1 if any(one.faults for one in outcomes) else 0)


if __name__ == "__main__":
    main()
