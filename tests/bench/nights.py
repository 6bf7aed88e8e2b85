"""`make bench nights`: the cost of a day's data steps after a short and after a long history.

One home per length: all days but the last run as one range, then the last day runs alone, several times. A day that is
not published starts from the same main each time, so its work is the same. A day without lines follows and gives the
fixed cost. The table shows medians of the steps' own clocks, with and without the fixed cost.

python -m tests.bench.nights [--quick]
"""

import argparse
import json
from datetime import timedelta
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench.bench_home import DATA_STEPS, BenchHome, bench_home
from tests.bench.generated_log import LogPlan
from tests.bench.machine import machine
from tests.bench.step_clock import own_seconds

RESULTS = Path(__file__).with_name("results") / "nights.json"
EVENTS_A_DAY = 50_000
LENGTHS = (10, 60)
REPEATS = 3
GOAL = 1.15
Night = dict[str, float]  # seconds by step


def bench_length(home: BenchHome, plan: LogPlan, progress: Progress) -> dict[str, object]:
    """Return the seconds of the last day after a history, and of the day without lines that follows."""
    task = progress.add_task(f"day {plan.days}", total=plan.days + REPEATS * 2 + len(DATA_STEPS) + 1)
    home.land(plan, lambda _: progress.advance(task))
    home.make_tables()
    progress.update(task, description=f"day {plan.days}: history")
    before = plan.last_day - timedelta(days=1)
    for step in DATA_STEPS:
        home.run_step(step, plan.first_day, before)
        progress.advance(task)
    home.settle(before)
    progress.advance(task)
    nights: list[Night] = []
    for number in range(REPEATS):
        progress.update(task, description=f"day {plan.days}: night, {number + 1} of {REPEATS}")
        nights.append(_night(home, plan))
        progress.advance(task)
    home.settle(plan.last_day)
    empty = LogPlan(plan.events, plan.days + 1, plan.first_day, plan.seed)
    home.land_empty_day(empty.last_day)
    empties: list[Night] = []
    for number in range(REPEATS):
        progress.update(task, description=f"day {plan.days}: day without events, {number + 1} of {REPEATS}")
        empties.append(_night(home, empty))
        progress.advance(task)
    steps = {step: median(night[step] for night in nights) for step in DATA_STEPS}
    steps_empty = {step: median(night[step] for night in empties) for step in DATA_STEPS}
    return {"days": plan.days, "nights": nights, "empty_nights": empties, "steps": steps, "steps_empty": steps_empty,
            "seconds": round(sum(steps.values()), 2),
            "seconds_above_empty": round(sum(steps.values()) - sum(steps_empty.values()), 2)}  # fmt: skip


def _night(home: BenchHome, plan: LogPlan) -> Night:
    night = {}
    for step in DATA_STEPS:
        home.run_step(step, plan.last_day, plan.last_day)
        night[step] = own_seconds(home.settings, step, plan.last_day)
    return night


def bench_nights(console: Console, is_quick: bool, cores: int, memory: str) -> None:
    """Run both lengths; print and write the ratio."""
    per_day, lengths = (2_000, (2, 4)) if is_quick else (EVENTS_A_DAY, LENGTHS)
    sizes = []
    with Progress(console=console) as progress:
        for days in lengths:
            with bench_home(cores, memory, {}) as home:
                sizes.append(bench_length(home, LogPlan(per_day * days, days), progress))
    short, long = sizes
    result = {
        "machine": machine(), "events_a_day": per_day, "lengths": sizes,
        "ratio": round(long["seconds"] / short["seconds"], 3),
        "ratio_above_empty": round(long["seconds_above_empty"] / short["seconds_above_empty"], 3),
    }  # fmt: skip
    table = Table(title=f"a day of {per_day:,} events after a short and a long history, seconds without start-up")
    for name in ("", *(f"day {one['days']}" for one in sizes), "ratio"):
        table.add_column(name, justify="right" if name else "left")
    for step in DATA_STEPS:
        values = [one["steps"][step] for one in sizes]
        table.add_row(step, *[f"{value:.1f}" for value in values], f"{values[1] / values[0]:.2f}")
    for name, key, ratio in (
        ("all", "seconds", "ratio"),
        ("above a day without events", "seconds_above_empty", "ratio_above_empty"),
    ):
        table.add_row(name, *[f"{one[key]:.1f}" for one in sizes], f"{result[ratio]:.2f} (goal: at most {GOAL})")
    console.print(table)
    file = RESULTS.with_name("nights-quick.json") if is_quick else RESULTS
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="days 2 and 4 of 2,000 events, to see that it runs")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g")
    arguments = parser.parse_args()
    bench_nights(Console(), arguments.quick, arguments.cores, arguments.memory)


if __name__ == "__main__":
    main()
