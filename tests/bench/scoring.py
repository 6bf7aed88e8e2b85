"""`make bench scoring`: the memory and the speed of scoring everybody, by the number of users.

Each size is a table of its own and one process of `python -m model score --all`, as in a night: by the built-in
counts-1, and by a transformer-1 of the size that `throughline train` teaches. Writes scoring.json and
scoring_transformer.json in tests/bench/results.

python -m tests.bench.scoring [--quick] [--users N...] [--models none,transformer]
"""

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.generated_sequences import DAYS, EVENTS, LAST_DAY, TAGS, catalog_environment, make_sequences
from tests.bench.kept_transformer import keep_transformer
from tests.bench.machine import machine
from tests.bench.measured import measured

FOLDER = Path(__file__).with_name("results")
RESULTS = {"none": FOLDER / "scoring.json", "transformer": FOLDER / "scoring_transformer.json"}
SIZES = (100_000, 300_000, 1_000_000)
QUICK_SIZES = (10_000, 30_000)


def bench(users: int, home: Path, model: str) -> dict[str, Any]:
    """Make the table of `users`, score it by a model that `home` has and return what that took."""
    with TemporaryDirectory(prefix="throughline-bench-") as name:
        folder = Path(name)
        if (home / "mlruns").is_dir():
            (folder / "mlruns").symlink_to(home / "mlruns")
        print(f"{users} users: making their sequences", file=sys.stderr)
        make_sequences(users, folder)
        environment = {
            **os.environ,
            **catalog_environment(folder),
            "THROUGHLINE_HOME": str(folder),
            "OMP_NUM_THREADS": "1",
        }
        days = ["--from", str(LAST_DAY), "--to", str(LAST_DAY), "--all"]
        names = ["--branch", "main", "--run-id", "bench", "--model", model]
        print(f"{users} users: scoring", file=sys.stderr)
        took = measured([sys.executable, "-m", "model", "score", *days, *names], environment, folder / "score.log")
        manifest = json.loads((folder / "exchange/bench/manifest.json").read_text(encoding="utf-8"))
    return {
        "users": users,
        "rows": manifest["rows"][str(LAST_DAY)],
        "model_version": manifest["model_versions"][str(LAST_DAY)],
        "peak_mib": round(took.peak_gib * 1024),
        "seconds": took.seconds,
        "cpu_seconds": took.cpu_seconds,
        "users_per_second": round(users / took.seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few users: does it run at all?")
    parser.add_argument("--users", type=int, nargs="+", help="sizes in their order; default .1, .3 and 1 million")
    parser.add_argument(
        "--models", default="none,transformer", help="none: the built-in counts-1; transformer; or both"
    )
    told = parser.parse_args()
    with TemporaryDirectory(prefix="throughline-bench-") as home:
        for model in told.models.split(","):
            version = keep_transformer(Path(home)) if model == "transformer" else model
            out = RESULTS[model].with_stem(f"{RESULTS[model].stem}-quick") if told.quick else RESULTS[model]
            generated = {"events_of_a_user": EVENTS, "days": DAYS, "tags": TAGS}
            result: dict[str, Any] = {"machine": machine(), "generated": generated, "sizes": []}
            for users in told.users or (QUICK_SIZES if told.quick else SIZES):
                result["sizes"].append(bench(users, Path(home), version))
                print(json.dumps(result["sizes"][-1]), file=sys.stderr)
                out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
