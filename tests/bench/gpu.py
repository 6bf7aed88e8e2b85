"""`make bench gpu`: transformer-1 on the sequences of a home, on a GPU and beside it on the CPU.

Each run is a process of `tests.bench.gpu_worker`: it trains as `throughline train` does, tests on the newest week, and
scores all users. A training is stopped after --seconds; its speed is then still reported. Writes gpu.json in
tests/bench/results and prints tables in Markdown.

A machine with a GPU needs no home: --write-rows FILE copies what a training reads to one file, and --rows FILE reads it
there. Without a GPU only the CPU runs.

python -m tests.bench.gpu [--quick] [--through 2026-02-01] [--write-rows FILE | --rows FILE] [--runs cuda-laptop ...]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from rich.console import Console

from model.data.cutoffs import training_cutoffs
from model.data.days import days_from_to
from model.data.history import HISTORY_COLUMNS
from model.data.sequences import known_by_day, sequences_with
from model.data.users import MAX_USERS, sample_users
from model.metrics import paired_difference
from model.training.weekly import sequences_of
from tests.bench.gpu_worker import KNOWN_ON, NDCG_FILE, OLDEST
from tests.bench.machine import machine

RESULTS = Path(__file__).with_name("results") / "gpu.json"
RUNS = ("cuda-laptop", "cpu-laptop", "cuda-server", "cuda-gpu")  # device and size of the network
SECONDS = 600
Result = dict[str, Any]


def write_rows(through: date, file: Path) -> None:
    """Copy the rows of THROUGHLINE_HOME that a training reads: the newest of each user at each of its moments."""
    from pipeline.runner.run import open_catalog

    open_catalog(Console(stderr=True))  # starts the local PostgreSQL if it must, and tells PyIceberg where it is
    sequences = sequences_of(through)
    oldest = min(sequences.days_with_rows, default=None)
    cutoffs = training_cutoffs(through, oldest)
    wanted = {*cutoffs.all, *(cutoffs.end_of(cutoff) for cutoff in cutoffs.all)}
    schema = sequences_with(HISTORY_COLUMNS).append(pa.field(KNOWN_ON, pa.date32()))
    schema = schema.with_metadata({OLDEST: str(oldest).encode()})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        for day, known in known_by_day(sequences.read, days_from_to(min(wanted), max(wanted))):
            if day in wanted:
                sampled = sample_users(known, MAX_USERS)
                known_on = pa.array([day] * len(sampled), pa.date32())
                writer.write_table(sampled.append_column(KNOWN_ON, known_on).cast(schema))


def run_worker(run: str, rows: Path, through: date, out: Path, seconds: float, epochs: int | None) -> Result:
    """Return the result of one run, or its error."""
    device, size = run.split("-")
    folder = out / run
    folder.mkdir(parents=True)
    arguments = ["--rows", rows, "--through", through, "--out", folder, "--size", size, "--seconds", seconds]
    arguments += ["--epochs", epochs] if epochs else []
    hidden = {} if device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
    line = [sys.executable, "-m", "tests.bench.gpu_worker", *map(str, arguments)]
    print(f"{run}: up to {seconds:g} s of training", file=sys.stderr, flush=True)
    done = subprocess.run(line, env={**os.environ, **hidden}, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr, flush=True)
        return {"run": run, "error": done.stderr.splitlines()[-30:]}
    return {"run": run, **json.loads(done.stdout.splitlines()[-1])}


def differences(runs: Sequence[str], out: Path) -> Mapping[str, Any]:
    """Return the paired difference in nDCG@10 of each run to the run on the CPU."""
    values = {run: np.load(out / run / NDCG_FILE) for run in runs if (out / run / NDCG_FILE).exists()}
    base = next((run for run in values if run.startswith("cpu")), None)
    if base is None:
        return {}
    return {run: asdict(paired_difference(values[run], values[base])) for run in values if run != base}


def markdown(result: Result) -> str:
    """Return the tables of tests/bench/README.md."""
    lines = [
        "| run | steps/s | train s | predict s | nDCG@10 | peak GPU GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in result["runs"]:
        if "error" in one:
            lines.append(f"| {one['run']} | failed: {one['error'][-1]} | | | | | |")
            continue
        train, test = one["train"], one.get("test", {})
        seconds = f"{train['seconds']:.0f}" if train["is_whole"] else f"({train['expected_seconds']:.0f})"
        cells = [one["run"], f"{train['steps_per_second']:.1f}", seconds]
        cells += [f"{test['predict_seconds']:.1f}", f"{test['ndcg_at_10']['mean']:.4f}"] if test else ["", ""]
        lines.append(f"| {' | '.join([*cells, format(one['peak_gpu_gib'], '.2f')])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one epoch of the first run, to see that it works")
    parser.add_argument("--through", type=date.fromisoformat, default=date(2026, 2, 1), help="last day of the training")
    parser.add_argument("--write-rows", type=Path, metavar="FILE", help="only copy the rows of THROUGHLINE_HOME")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="read these instead of a home")
    parser.add_argument("--runs", nargs="+", metavar="DEVICE-SIZE", help=f"default: {' '.join(RUNS)}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each training (default %(default)s)")
    parser.add_argument("--out", type=Path, default=None, help="file of the results")
    arguments = parser.parse_args()
    if arguments.write_rows:
        write_rows(arguments.through, arguments.write_rows)
        return
    runs = arguments.runs or [run for run in RUNS if torch.cuda.is_available() or run.startswith("cpu")]
    runs = runs[:1] if arguments.quick else runs
    file = arguments.out or (RESULTS.with_stem("gpu-quick") if arguments.quick else RESULTS)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    result: Result = {"machine": {**machine(), "gpu": gpu, "torch": torch.__version__}, "runs": []}
    with TemporaryDirectory(prefix="throughline-bench-") as name:
        out, rows = Path(name), arguments.rows
        if rows is None:
            rows = out / "rows.arrow"
            write_rows(arguments.through, rows)
        for run in runs:
            epochs = 1 if arguments.quick else None
            result["runs"].append(run_worker(run, rows, arguments.through, out, arguments.seconds, epochs))
            result["ndcg_at_10_above_the_cpu"] = differences(runs, out)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            print(json.dumps(result["runs"][-1]), file=sys.stderr, flush=True)
    print(markdown(result))


if __name__ == "__main__":
    main()
