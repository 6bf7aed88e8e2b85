"""`make bench training`: memory and time of training the Transformer, by the number of users and tags.

Each size is a table of its own and one process of `python -m model train` on one thread. Each user has a few events, so
the tags determine the memory. The touched tags are random. Writes training.json in tests/bench/results.

python -m tests.bench.training [--quick] [--users N...] [--tags N]
"""

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.generated_sequences import DAYS, EVENTS, LAST_DAY, catalog_environment, make_weeks
from tests.bench.machine import machine
from tests.bench.measure import measured

RESULTS = Path(__file__).with_name("results") / "training.json"
WEEKS = 4
SIZES = (2_500, 20_000)
QUICK_SIZES = (300,)
TAGS = 2_700


def bench(users: int, tags: int) -> dict[str, Any]:
    """Make the table of `users`, train on it and return the cost."""
    with TemporaryDirectory(prefix="throughline-bench-") as name:
        folder = Path(name)
        print(f"{users} users, {tags} tags: making their sequences", file=sys.stderr)
        make_weeks(users, tags, WEEKS, folder)
        environment = {
            **os.environ,
            **catalog_environment(folder),
            "THROUGHLINE_HOME": str(folder),
            "OMP_NUM_THREADS": "1",
        }
        training = ["train", "--through", str(LAST_DAY), "--run-id", "bench", "--challengers", "transformer"]
        print(f"{users} users: training", file=sys.stderr)
        took = measured([sys.executable, "-m", "model", *training], environment, folder / "train.log")
    return {
        "users": users,
        "tags": tags,
        "peak_mib": round(took.peak_gib * 1024),
        "peak_own_mib": round(took.peak_own_gib * 1024),
        "seconds": took.seconds,
        "cpu_seconds": took.cpu_seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few users, to see that it runs")
    parser.add_argument("--users", type=int, nargs="+", help="sizes in their order; default 2500 and 20000")
    parser.add_argument("--tags", type=int, default=TAGS, help="of the catalogue (default %(default)s)")
    arguments = parser.parse_args()
    out = RESULTS.with_stem(f"{RESULTS.stem}-quick") if arguments.quick else RESULTS
    generated = {"events_of_a_user": EVENTS, "days": DAYS, "weeks": WEEKS}
    result: dict[str, Any] = {"machine": machine(), "generated": generated, "sizes": []}
    for users in arguments.users or (QUICK_SIZES if arguments.quick else SIZES):
        result["sizes"].append(bench(users, arguments.tags))
        print(json.dumps(result["sizes"][-1]), file=sys.stderr)
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
