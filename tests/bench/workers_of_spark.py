"""`make bench workers_of_spark`: many events on one machine with two cores, and on two workers of one core each.

Both land the same generated log and run its days as one range, by spark-submit; the data of the workers lie in S3, in
a REST catalog. All of it runs on this machine, one side after the other. The table shows where the time goes
by step, and the processor time of the whole machine. The data tables must be equal.

python -m tests.bench.workers_of_spark [--events 10_000_000] [--days 14] [--quick]
"""

import argparse
import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.bench_home import TOML
from tests.bench.cluster import call, cluster_home, home, published, spark_cluster
from tests.bench.generated_log import LogPlan, write_log
from tests.bench.machine import machine
from tests.remote_stack import BUCKET, remote_stack, why_not

RESULTS = Path(__file__).with_name("results") / "workers_of_spark.json"
STEP = re.compile(r"^✓ (.+?) (\d+) s$", re.MULTILINE)


@dataclass(frozen=True)
class Took:
    """The seconds of landing and of each step of the range, and the processor time of all processes of the machine."""

    seconds: Mapping[str, float]
    cpu_seconds: Mapping[str, float]  # of landing, and of the range


def land_and_run(environment: Mapping[str, str], log: str, plan: LogPlan) -> Took:
    """Land a log and run its days as one range."""
    started = (time.monotonic(), _cpu_seconds())
    call(environment, "land", "--source", str(TOML), log)
    middle = (time.monotonic(), _cpu_seconds())
    printed = call(environment, "run", "--from", str(plan.first_day), "--to", str(plan.last_day))
    ended = (time.monotonic(), _cpu_seconds())
    steps = {name: float(seconds) for name, seconds in STEP.findall(printed)}
    return Took(
        {"land": round(middle[0] - started[0], 1), **steps, "all": round(ended[0] - started[0], 1)},
        {"land": round(middle[1] - started[1]), "range": round(ended[1] - middle[1])},
    )


def _cpu_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def show(console: Console, one: Took, two: Took, lines: int) -> None:
    table = Table(title=f"{lines:,} lines: seconds")
    for name in ("step", "local[2]", "two workers", "ratio"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for name, seconds in one.seconds.items():
        there = two.seconds.get(name, 0.0)
        table.add_row(name, f"{seconds:,.0f}", f"{there:,.0f}", f"{there / seconds:.2f}" if seconds else "")
    here, there = sum(one.cpu_seconds.values()), sum(two.cpu_seconds.values())
    table.add_row("processor time of the machine", f"{here:,.0f}", f"{there:,.0f}", f"{there / here:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--quick", action="store_true", help="20,000 events over 3 days, to see that it runs")
    chosen = parser.parse_args()
    plan = LogPlan(20_000, 3) if chosen.quick else LogPlan(chosen.events, chosen.days)
    if reason := why_not():
        raise SystemExit(f"this benchmark needs an S3 server: {reason}")
    console = Console()
    with TemporaryDirectory(prefix="throughline-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lines = sum(count for _, _, count in write_log(plan, folder / "log"))
        with home(folder / "laptop", THROUGHLINE_SPARK_ENGINE="submit") as laptop:
            one, expected = land_and_run(laptop, str(folder / "log"), plan), published(laptop)
        console.print("local[2]", one)
        with remote_stack(folder / "stack") as stack, spark_cluster(folder / "spark", stack) as master:
            shutil.move(folder / "log", stack.folder / "incoming")
            with cluster_home(folder / "cluster", stack, master) as cluster:
                two, found = land_and_run(cluster, f"s3://{BUCKET}/incoming", plan), published(cluster)
    show(console, one, two, lines)
    compared = found.compare(expected)
    console.print(compared)
    result = {"machine": machine(), "lines": lines, "days": plan.days, "local": asdict(one), "workers": asdict(two)}
    file = RESULTS.with_name("workers_of_spark-quick.json") if chosen.quick else RESULTS
    file.write_text(json.dumps({**result, **compared}, indent=1) + "\n")
    if not all(compared["equal"].values()):
        raise SystemExit("the tables differ")


if __name__ == "__main__":
    main()
