"""`make bench shapes`: the cost of a log by its shape, not by its lines.

The same number of lines lands in two homes: in one evenly, in the other unevenly. Two comparisons: 180 lines of one
source, or 10 of each of 18 sources; 1.1 million events of 10,000 users alike, or a million of one user and 10 of each
other. The day then runs several times on a warm engine, unpublished, so that its work is the same; the first run warms
up. The table shows medians of the steps' own clocks, and of the processor time of the engine.

python -m tests.bench.shapes [--quick] [--only sources|users]
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain, repeat
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench.bench_home import DATA_STEPS, TOML, BenchHome, bench_home
from tests.bench.machine import machine
from tests.bench.step_clock import own_seconds

RESULTS = Path(__file__).with_name("results") / "shapes.json"
DAY = date(2026, 1, 5)
REPEATS = 3
PROCESSOR = "processor time"


@dataclass(frozen=True)
class Shape:
    """A log of one day: `users` is how many events each user of each source has."""

    name: str
    sources: int
    users: list[int]

    def land(self, home: BenchHome) -> None:
        """Write a file of each source, and land it."""
        for number in range(self.sources):
            toml, log = home.home / f"shop-{number}.toml", home.home / "events-1.jsonl"
            toml.write_text(TOML.read_text().replace('name = "generated"', f'name = "shop-{number}"'))
            with log.open("w") as out:
                out.writelines(f"{line}\n" for line in self._lines(number))
            home.land_file(toml, log, DAY)

    def _lines(self, source: int) -> Iterator[str]:
        random = np.random.default_rng(source)
        users = list(chain.from_iterable(repeat(user, count) for user, count in enumerate(self.users)))
        random.shuffle(users)
        seconds = np.sort(random.integers(0, 86_400, len(users)))
        items = random.integers(0, 1_000, len(users))
        for number, (user, second, item) in enumerate(zip(users, seconds, items, strict=True)):
            time = f"{DAY}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
            yield (
                f'{{"id": "e{number}", "user": "u{user}", "time": "{time}", "received": "{time}", '
                f'"type": "page_view", "item": "i{item}", "tags": ["topic-{item % 100}"], "consent": "true"}}'
            )


@dataclass(frozen=True)
class Comparison:
    """Two shapes of equally many lines. goal: the largest accepted ratio of their seconds."""

    name: str
    even: Shape
    uneven: Shape
    goal: float


def comparisons(is_quick: bool) -> list[Comparison]:
    users, heavy, others = (100, 1_000, 10) if is_quick else (10_000, 1_000_000, 10)
    return [
        Comparison("sources", Shape("one source", 1, [10] * 18), Shape("18 sources", 18, [10]), 2.0),
        Comparison(
            "users",
            Shape("users alike", 1, [(heavy + others * users) // users] * users),
            Shape("one heavy user", 1, [heavy, *[others] * users]),
            1.5,
        ),
    ]


def bench_shape(shape: Shape, cores: int, memory: str, progress: Progress) -> dict[str, float]:
    """Return the median seconds of each step of the day, and of the engine's processor time for all of them."""
    task = progress.add_task(shape.name, total=REPEATS + 2)
    with bench_home(cores, memory, {}, spark_engine="warm") as home:
        shape.land(home)
        home.make_tables()
        progress.advance(task)
        nights = []
        for _ in range(REPEATS + 1):
            before = home.engine_cpu_seconds()
            for step in DATA_STEPS:
                home.run_step(step, DAY, DAY)
            own = {step: own_seconds(home.settings, step, DAY) for step in DATA_STEPS}
            nights.append({**own, PROCESSOR: home.engine_cpu_seconds() - before})
            progress.advance(task)
    return {name: round(median(night[name] for night in nights[1:]), 2) for name in nights[0]}


def bench_shapes(console: Console, is_quick: bool, only: str | None, cores: int, memory: str) -> None:
    """Run the comparisons; print their ratios, and write them if all ran."""
    results = []
    for comparison in comparisons(is_quick):
        if only not in (None, comparison.name):
            continue
        with Progress(console=console) as progress:
            shapes = (comparison.even, comparison.uneven)
            even, uneven = [bench_shape(shape, cores, memory, progress) for shape in shapes]
        lines = sum(comparison.even.users) * comparison.even.sources
        table = Table(
            "", *(shape.name for shape in shapes), "ratio", title=f"{lines:,} lines, seconds without start-up"
        )
        for one in (even, uneven):
            one["all"] = round(sum(one[step] for step in DATA_STEPS), 2)
        ratios = {name: round(uneven[name] / even[name], 2) for name in (*DATA_STEPS, "all", PROCESSOR)}
        for name, ratio in ratios.items():
            goal = f" (goal: at most {comparison.goal})" if name == "all" else ""
            table.add_row(name, f"{even[name]:.1f}", f"{uneven[name]:.1f}", f"{ratio:.2f}{goal}")
        console.print(table)
        results.append({"lines": lines, shapes[0].name: even, shapes[1].name: uneven, "ratios": ratios})
    if not only:
        file = RESULTS.with_name("shapes-quick.json") if is_quick else RESULTS
        file.write_text(json.dumps({"machine": machine(), "comparisons": results}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 events, to see that it runs")
    parser.add_argument("--only", choices=("sources", "users"), help="one comparison; nothing is written")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g")
    arguments = parser.parse_args()
    bench_shapes(Console(), arguments.quick, arguments.only, arguments.cores, arguments.memory)


if __name__ == "__main__":
    main()
