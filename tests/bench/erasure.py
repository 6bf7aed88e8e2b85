"""`make bench erasure`: the cost of erasing 100 people from a generated warehouse, beside the cost of making it.

A generated log lands and its data steps run as one range; then one erasure removes 100 users: 99 drawn from all that
the log names, and one busy user, who has a tenth of its events by default; 100 drawn ones if it has none. The table
shows the wall time, and how many bytes of each table and of the landing zone were rewritten.

python -m tests.bench.erasure [--events 10000000] [--days 14] [--quick]
"""

import argparse
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pipeline.runner.commands import erase_command
from tests.bench.bench_home import DATA_STEPS, BenchHome, bench_home
from tests.bench.generated_log import BUSY_USER, LogPlan
from tests.bench.machine import machine

RESULTS = Path(__file__).with_name("results")
PEOPLE = 100
USER = re.compile('"user":"([^"]+)"')


def request_of(home: BenchHome, seed: int = 1) -> tuple[Path, int]:
    """Write a request of BUSY_USER, if the log has it, and of people drawn from the log; return it, and the number of
    landed lines.
    """
    users, lines = set(), 0
    for file in sorted((home.home / "landing" / "generated").glob("*/*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(columns=["text"]):
            texts = batch["text"].to_pylist()
            lines += len(texts)
            users |= {found[1] for text in texts if (found := USER.search(text))}
    request = home.home / "request"
    request.touch(mode=0o600)
    busy = users & {f"u{BUSY_USER}"}
    drawn = random.Random(seed).sample(sorted(users - busy), PEOPLE - len(busy))
    request.write_text("\n".join([*busy, *drawn]) + "\n")
    return request, lines


def bench_erasure(events: int, busy: int, days: int, cores: int, memory: str, console: Console) -> Mapping[str, Any]:
    """Make the warehouse, erase, and return the seconds and the receipt. busy: events of the busy user."""
    plan = LogPlan(events - busy, days, busy_user_events=busy)
    with bench_home(cores, memory, {}, spark_engine="warm") as home:
        home.land(plan, lambda _: None)
        home.make_tables()
        seconds = {step: home.run_step(step, plan.first_day, plan.last_day).seconds for step in DATA_STEPS}
        home.settle(plan.last_day)
        console.print(f"warehouse of {events:,} events: {seconds}", highlight=False)
        request, lines = request_of(home)
        landing = sum(file.stat().st_size for file in (home.home / "landing").rglob("*.parquet"))
        took = home.run(erase_command(str(request), None, False).arguments, "erase")
        [file] = (home.home / "erasures").glob("*.json")
        receipt = json.loads(file.read_text())
        assert not any(receipt["searched"].values())
    return {"lines": lines, "busy_user_events": busy, "days": days, "warehouse_seconds": seconds,
            "erasure_seconds": took.seconds, "landing_bytes": landing, "receipt": receipt}  # fmt: skip


def shown(found: Mapping[str, Any]) -> Table:
    """Return the table of a result."""
    receipt = found["receipt"]
    table = Table("", "rows or lines deleted", "MiB rewritten", "MiB in all")
    rows = [("landing zone", receipt["landed_lines"], receipt["landed_bytes"], found["landing_bytes"])]
    rows += [(name, one["rows"], one["bytes_rewritten"], one["bytes_of_table"])
             for name, one in receipt["tables"].items() if one["bytes_of_table"]]  # fmt: skip
    rows.append(("all", *(sum(row[column] for row in rows) for column in (1, 2, 3))))
    for name, deleted, rewritten, whole in rows:
        table.add_row(name, f"{deleted:,}", f"{rewritten / 2**20:,.1f}", f"{whole / 2**20:,.1f}")
    table.title = f"{PEOPLE} people of {found['lines']:,} lines: {found['erasure_seconds']:.0f} s"
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--busy-user-events", type=int, help="a tenth of --events by default")
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--quick", action="store_true", help="20,000 events, to see that it runs")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g")
    arguments = parser.parse_args()
    console = Console()
    events = 20_000 if arguments.quick else arguments.events
    busy = events // 10 if arguments.busy_user_events is None else arguments.busy_user_events
    found = bench_erasure(events, busy, arguments.days, arguments.cores, arguments.memory, console)
    console.print(shown(found))
    if not arguments.quick:
        file = RESULTS / ("erasure.json" if busy else "erasure_of_rare_users.json")
        file.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
