"""`make bench baselines`: all models on the public sets, each in a process of `python -m tests.bench.public_sets`.

--demo-home and --as-of also run `throughline evaluate` in that home. The bench prints the tables of
tests/bench/README.md. It fails if the closed-form transition falls below its former result on MovieLens, or if tuning
makes counts-1 worse. Results of sets that are not selected stay as they were.

python -m tests.bench.baselines [--quick] [--set NAME]... [--demo-home FOLDER --as-of DAY [--horizon-days N]]
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench.baselines_markdown import markdown
from tests.bench.machine import machine
from tests.bench.measure import measured

RESULTS = Path(__file__).with_name("results") / "baselines.json"
SETS = ("taobao", "movielens", "beauty")
MIN_HR_OF_TRANSITION = 0.22
SAME = 1e-12  # figures of equal rankings differ by less
Result = dict[str, Any]


def bench_set(name: str, quick: bool, folder: Path) -> Result:
    """Run the benchmark of a set as a process; return its results and its cost."""
    out = folder / f"{name}.json"
    arguments = [
        sys.executable,
        "-m",
        "tests.bench.public_sets",
        name,
        "--out",
        str(out),
        *(["--quick"] if quick else []),
    ]
    took = measured(arguments, os.environ, folder / f"{name}.log")
    return {**json.loads(out.read_text(encoding="utf-8")), "process": asdict(took)}


def bench_demo(home: Path, as_of: str, horizon_days: int, folder: Path) -> Result:
    """Run `throughline evaluate` in a home; return its report and its cost."""
    throughline = str(Path(sys.executable).with_name("throughline"))
    arguments = [throughline, "evaluate", "--as-of", as_of, "--horizon-days", str(horizon_days)]
    took = measured(arguments, {**os.environ, "THROUGHLINE_HOME": str(home)}, folder / "demo.log")
    reports = (home / "evaluations").glob(f"{as_of}-*/report.json")
    newest = max(reports, key=lambda file: file.stat().st_mtime)
    return {**json.loads(newest.read_text(encoding="utf-8")), "process": asdict(took)}


def faults(sets: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each figure below its limit. The lines of a quick trial prove nothing."""
    found_faults = []
    for one in sets:
        for task in one["tasks"]:
            for method in task["methods"]:
                where = f"{one['name']}, {task['task']}, {method['method']}"
                if method["method"] == "counts-1":
                    found_faults += _fault_of_tuning(where, method["tried"])
                if (one["name"], method["method"]) == ("movielens", "transition"):
                    found = method["metrics"]["hr_at_10"]["mean"]
                    if found < MIN_HR_OF_TRANSITION:
                        found_faults.append(f"{where}: HR@10 {found:.3f}, expected {MIN_HR_OF_TRANSITION} at least")
    return found_faults


def _fault_of_tuning(where: str, tried: Sequence[Mapping[str, Any]]) -> list[str]:
    reached = {one["settings"]["is_tuned"]: one["validation_ndcg_at_10"] for one in tried}
    if reached[True] >= reached[False] - SAME:
        return []
    return [f"{where}: nDCG@10 on the validation is {reached[True]:.4f} tuned, below {reached[False]:.4f} untuned"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few hundred users of each set, to see that it runs")
    parser.add_argument(
        "--set",
        action="append",
        choices=(*SETS, "demo"),
        help="one set, or `demo` for the home alone; repeatable; default all",
    )
    parser.add_argument("--demo-home", type=Path, help="a home with published days, such as .throughline")
    parser.add_argument("--as-of", help="the last day that models may know in that home")
    parser.add_argument("--horizon-days", type=int, default=7)
    arguments = parser.parse_args()
    if bool(arguments.demo_home) != bool(arguments.as_of):
        parser.error("--demo-home and --as-of go together: expected both or neither")
    if "demo" in (arguments.set or []) and not arguments.demo_home:
        parser.error("--set demo: expected --demo-home and --as-of too")
    names = [name for name in SETS if name in (arguments.set or SETS)]
    result: Result = {
        **_earlier(arguments.quick, names),
        "machine": machine(),
        "config": {key: str(value) for key, value in vars(arguments).items() if key != "demo_home"},
    }
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, TemporaryDirectory(prefix="throughline-bench-") as folder:
        task = progress.add_task("", total=len(names) + bool(arguments.demo_home))
        for name in names:
            progress.update(task, description=name)
            made = bench_set(name, arguments.quick, Path(folder))
            result["sets"] = sorted([*result["sets"], made], key=lambda one: SETS.index(one["name"]))
            _write(result, arguments.quick)
            progress.advance(task)
        if arguments.demo_home:
            progress.update(task, description="demo")
            result["demo"] = bench_demo(
                arguments.demo_home.resolve(), arguments.as_of, arguments.horizon_days, Path(folder)
            )
            progress.advance(task)
    result["faults"] = faults(result["sets"])
    _write(result, arguments.quick)
    print(markdown(result))
    for fault in result["faults"]:
        console.print(f"[red]{fault}")
    if result["faults"] and not arguments.quick:
        sys.exit(1)


def _file(is_quick: bool) -> Path:
    return RESULTS.with_name("baselines-quick.json") if is_quick else RESULTS


def _earlier(is_quick: bool, names: Sequence[str]) -> Result:
    """Return the results of the last run, without those of the sets that run again."""
    file = _file(is_quick)
    found: Result = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"sets": []}
    return {**found, "sets": [one for one in found["sets"] if one["name"] not in names]}


def _write(result: Result, is_quick: bool) -> None:
    file = _file(is_quick)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
