"""`make bench nights`: does the data work of a night follow the night's events, or the length of history?

One home a length: all days but the last are run as one range, then the last day is run alone, several times (a night
that is not published is repeated from the same main, so its work is the same). A day with no lines follows, run the
same way: what a night costs that has no events. Told are the steps' own clocks, medians, with and without that.

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
    """Return the seconds of the last night after a history, and of a night after it on which nothing landed."""
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
        progress.update(task, description=f"day {plan.days}: night without events, {number + 1} of {REPEATS}")
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
    """Run both lengths, tell and write the ratio."""
    per_day, lengths = (2_000, (2, 4)) if is_quick else (EVENTS_A_DAY, LENGTHS)
    told = []
    with Progress(console=console) as progress:
        for days in lengths:
            with bench_home(cores, memory, {}) as home:
                told.append(bench_length(home, LogPlan(per_day * days, days), progress))
    short, long = told
    result = {
        "machine": machine(), "events_a_day": per_day, "lengths": told,
        "ratio": round(long["seconds"] / short["seconds"], 3),
        "ratio_above_empty": round(long["seconds_above_empty"] / short["seconds_above_empty"], 3),
    }  # fmt: skip
    table = Table(title=f"the night of {per_day:,} events after a short and a long history, seconds, start-up apart")
    for name in ("", *(f"day {one['days']}" for one in told), "ratio"):
        table.add_column(name, justify="right" if name else "left")
    for step in DATA_STEPS:
        values = [one["steps"][step] for one in told]
        table.add_row(step, *[f"{value:.1f}" for value in values], f"{values[1] / values[0]:.2f}")
    for name, key, ratio in (
        ("all", "seconds", "ratio"),
        ("above a night without events", "seconds_above_empty", "ratio_above_empty"),
    ):
        table.add_row(name, *[f"{one[key]:.1f}" for one in told], f"{result[ratio]:.2f} (goal: at most {GOAL})")
    console.print(table)
    file = RESULTS.with_name("nights-quick.json") if is_quick else RESULTS
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="days 2 and 4 of 2,000 events: does it run at all?")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g")
    told = parser.parse_args()
    bench_nights(Console(), told.quick, told.cores, told.memory)


if __name__ == "__main__":
    main()
