"""`make bench scoring`: memory and speed of scoring all users, by the number of users.

Each size is a table of its own and one process of `python -m model score --all`: by the built-in counts-1, and by a
transformer-1 of the size that `throughline train` trains. Writes scoring.json and
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
from tests.bench.machine import machine
from tests.bench.measure import measured
from tests.bench.saved_transformer import save_transformer

FOLDER = Path(__file__).with_name("results")
RESULTS = {"none": FOLDER / "scoring.json", "transformer": FOLDER / "scoring_transformer.json"}
SIZES = (100_000, 300_000, 1_000_000)
QUICK_SIZES = (10_000, 30_000)


def bench(users: int, home: Path, model: str) -> dict[str, Any]:
    """Make the table of `users`, score it by a model of `home` and return the cost."""
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
    parser.add_argument("--quick", action="store_true", help="a few users, to see that it runs")
    parser.add_argument("--users", type=int, nargs="+", help="sizes in their order; default .1, .3 and 1 million")
    parser.add_argument(
        "--models", default="none,transformer", help="none: the built-in counts-1; transformer; or both"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="throughline-bench-") as home:
        for model in arguments.models.split(","):
            version = save_transformer(Path(home)) if model == "transformer" else model
            out = RESULTS[model].with_stem(f"{RESULTS[model].stem}-quick") if arguments.quick else RESULTS[model]
            generated = {"events_of_a_user": EVENTS, "days": DAYS, "tags": TAGS}
            result: dict[str, Any] = {"machine": machine(), "generated": generated, "sizes": []}
            for users in arguments.users or (QUICK_SIZES if arguments.quick else SIZES):
                result["sizes"].append(bench(users, Path(home), version))
                print(json.dumps(result["sizes"][-1]), file=sys.stderr)
                out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
