"""`make bench data`: land, clean, sessions and sequences compared with the same work in DuckDB, on the same files.

Each size has an empty home. The steps are the processes that `throughline` starts. `start-up` is the time outside the
step's own clock: JVM, Spark session, imports, branches, shutdown. DuckDB runs before and after, and the mean counts.
The ratio is the seconds of DuckDB divided by those of the pipeline without start-up.

python -m tests.bench.data [--quick] [--events N]... [--nights]
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.bench.bench_home import DATA_STEPS, BenchHome, bench_home
from tests.bench.fingerprints import duckdb_fingerprints, pipeline_fingerprints
from tests.bench.generated_log import LogPlan
from tests.bench.machine import machine
from tests.bench.measure import Measurement, measured
from tests.bench.step_clock import own_seconds

RESULTS = Path(__file__).with_name("results") / "data.json"
GOAL_RATIO, GOAL_GROWTH, GOAL_GIB = 0.5, 1.15, 12
TOP = 6  # executions shown per step
Result = dict[str, Any]


def bench_size(home: BenchHome, plan: LogPlan, cores: int, memory: str, progress: Progress) -> Result:
    """Time one size; return seconds, memory, the longest executions, and whether the results are equal."""
    task = progress.add_task(f"{plan.events:,} events", total=plan.days + len(DATA_STEPS) + 4)
    progress.update(task, description=f"{plan.events:,} events: make")
    lines = home.write_log(plan, lambda _: progress.advance(task))
    home.make_tables()
    progress.update(task, description=f"{plan.events:,} events: DuckDB")
    duckdb_runs = [_run_duckdb(home, cores, memory)]
    progress.advance(task)
    progress.update(task, description=f"{plan.events:,} events: land")
    landing, own = home.land_log()
    steps: dict[str, Result] = {"land": _step(home, landing, own)}
    progress.advance(task)
    for step in DATA_STEPS:
        progress.update(task, description=f"{plan.events:,} events: {step}")
        took = home.run_step(step, plan.first_day, plan.last_day)
        steps[step] = _step(home, took, own_seconds(home.settings, step, plan.last_day))
        progress.advance(task)
    progress.update(task, description=f"{plan.events:,} events: DuckDB again")
    duckdb_runs.append(_run_duckdb(home, cores, memory))
    progress.advance(task)
    progress.update(task, description=f"{plan.events:,} events: compare")
    ours, theirs = pipeline_fingerprints(home.settings, plan.last_day), duckdb_fingerprints(home.home / "duckdb")
    progress.advance(task)
    compared = {
        name: {"rows": ours[name][0], "rows_duckdb": theirs[name][0], "equal": ours[name] == theirs[name]}
        for name in ours
    }
    figures = {"lines": lines, "days": plan.days, "steps": steps, "duckdb": duckdb_runs, "compared": compared}
    return {**figures, **_summary(lines, steps, duckdb_runs)}


def _step(home: BenchHome, took: Measurement, own: float) -> Result:
    top = [
        {"what": one.name, "seconds": round(one.seconds, 1), "task_cpu_seconds": round(one.cpu_seconds, 1),
         "gc_seconds": round(one.gc_seconds, 1), "shuffled_mib": round(one.shuffled_mib), "tasks": one.tasks,
         "spilled_mib": round(one.spilled_mib)}
        for one in home.spark_executions()[:TOP]
    ]  # fmt: skip
    return {**asdict(took), "own_clock_seconds": own, "start_up_seconds": round(took.seconds - own, 2), "top": top}


def _run_duckdb(home: BenchHome, cores: int, memory: str) -> Result:
    log = home.home / "logs" / "duckdb.log"
    paths = ("--log", home.home / "log", "--key-file", home.home / "pseudonym.key", "--out", home.home / "duckdb")
    arguments = [sys.executable, "-m", "tests.bench.duckdb_steps", *map(str, paths)]
    limits = ["--threads", str(cores), "--memory", f"{memory.rstrip('gG')}GB"]
    took = measured([*arguments, *limits], os.environ, log)
    return {**asdict(took), "steps": json.loads(log.read_text().splitlines()[-1])}


def _summary(lines: int, steps: dict[str, Result], duckdb_runs: list[Result]) -> Result:
    ours = sum(step["own_clock_seconds"] for step in steps.values())
    theirs = sum(sum(run["steps"].values()) for run in duckdb_runs) / len(duckdb_runs)
    cpu = sum(step["cpu_seconds"] for step in steps.values())
    return {
        "events_per_second": round(lines / ours),
        "events_per_second_duckdb": round(lines / theirs),
        "ratio": round(theirs / ours, 3),
        "ratio_of_processor_time": round(sum(run["cpu_seconds"] for run in duckdb_runs) / len(duckdb_runs) / cpu, 3),
        "micros_per_event": round(ours / lines * 1e6, 2),
        "peak_gib": max(step["peak_gib"] for step in steps.values()),
        "peak_gib_duckdb": max(run["peak_gib"] for run in duckdb_runs),
    }


def show(console: Console, sizes: list[Result]) -> None:
    table = Table(title="land + clean + sessions + sequences and DuckDB, without start-up")
    for name in ("events", "step", "seconds", "start-up", "CPU s", "GiB", "DuckDB s", "ratio"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for size in sizes:
        for step, took in size["steps"].items():
            theirs = sum(run["steps"][step] for run in size["duckdb"]) / len(size["duckdb"])
            own = took["own_clock_seconds"]
            values = (own, took["start_up_seconds"], took["cpu_seconds"], took["peak_gib"])
            table.add_row(
                f"{size['lines']:,}",
                step,
                *[f"{value:.1f}" for value in values],
                f"{theirs:.1f}",
                f"{theirs / own:.2f}",
            )
        goal = "[green]" if size["ratio"] >= GOAL_RATIO else "[red]"
        total, peak = size["lines"] / size["events_per_second"], size["peak_gib"]
        values = (f"{total:.1f}", "", "", f"{peak:.1f}", "", f"{goal}{size['ratio']:.2f}")
        table.add_row("", "all", *values, end_section=True)
    console.print(table)
    for size in sizes:
        ours, theirs = size["events_per_second"], size["events_per_second_duckdb"]
        console.print(f"{size['lines']:,}: {ours:,} events per second, DuckDB {theirs:,}")
        unequal = [name for name, comparison in size["compared"].items() if not comparison["equal"]]
        console.print(f"{size['lines']:,}: " + (f"[red]differ: {', '.join(unequal)}" if unequal else "results equal"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, action="append", help="a size; repeatable; default 1 and 10 million")
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--quick", action="store_true", help="20,000 events over 3 days, to see that it runs")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g", help="heap of Spark's driver, and DuckDB's limit")
    parser.add_argument("--spark", default="{}", help="further lines for spark-defaults.conf, as JSON")
    parser.add_argument("--nights", action="store_true", help="then also `make bench nights`")
    arguments = parser.parse_args()
    plans = [LogPlan(events, arguments.days) for events in arguments.events or (1_000_000, 10_000_000)]
    if arguments.quick:
        plans = [LogPlan(20_000, 3)]
    console = Console()
    result: Result = {
        "machine": machine(),
        "config": {key: str(value) for key, value in vars(arguments).items()},
        "sizes": [],
    }
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for plan in plans:
            with bench_home(arguments.cores, arguments.memory, json.loads(arguments.spark)) as home:
                result["sizes"].append(bench_size(home, plan, arguments.cores, arguments.memory, progress))
            _write(result, arguments.quick)
    show(console, result["sizes"])
    if len(result["sizes"]) > 1:
        growth = result["sizes"][-1]["micros_per_event"] / result["sizes"][0]["micros_per_event"]
        result["growth_per_event"] = round(growth, 3)
        console.print(f"per event from the smallest to the largest: x {growth:.2f} (goal: at most {GOAL_GROWTH})")
        _write(result, arguments.quick)
    if arguments.nights:
        from tests.bench.nights import bench_nights

        bench_nights(console, arguments.quick, arguments.cores, arguments.memory)
    if not all(one["equal"] for size in result["sizes"] for one in size["compared"].values()):
        sys.exit(1)


def _write(result: Result, is_quick: bool) -> None:
    file = RESULTS.with_name("data-quick.json") if is_quick else RESULTS
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
