"""`make bench rectools`: a next-item network and RecTools' SASRec on MovieLens-1M, on the same cores in one run.

Both have width 64, two blocks of two heads, dropout .2 and the newest 200 items of a user. SASRec otherwise uses the
defaults of RecTools (full softmax, batches of 128 users, learning rate .001), ours its own configuration. Both train on
all but the last two items of each user and rank all unseen items for the last one, given the one before. They take
turns: an epoch and a ranking of RecTools, then of ours, each on all cores that this process may use. The test selects
nothing. An epoch of ours reads more: also an earlier window of 200 items of longer histories. Writes
tests/bench/results/rectools.json.

python -m tests.bench.rectools [--quick] [--epochs N]
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.item_training import QUICK_EPOCHS, query_interactions
from tests.bench.machine import machine
from tests.bench.next_item.network import ItemSize
from tests.bench.public_sets.movielens import NEWEST
from tests.bench.public_sets.next_item import TEST, VALIDATION, leave_one_out
from tests.bench.rectools_comparison import OURS, THEIRS, Result, TrainingCourse, compared, markdown
from tests.bench.rectools_environment import rectools_python
from tests.bench.workers import Steps, Worker, WorkerInput

RESULTS = Path(__file__).with_name("results") / "rectools.json"
EPOCHS = 10
SIZE = ItemSize()
SASREC = {
    "n_blocks": SIZE.blocks,
    "n_heads": SIZE.heads,
    "n_factors": SIZE.width,
    "dropout_rate": SIZE.dropout,
    "session_max_len": NEWEST,
    "seed": 1,
}


def print_progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def cores() -> int:
    """Count the cores that this process may use: fewer under `taskset`."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def both(folder: Path, is_quick: bool, epochs: int) -> Result:
    """Train both in turns, and return what they come to. folder: for what is worker_input over."""
    interactions, file, threads = query_interactions(is_quick), folder / "worker_input.npz", cores()
    train, test = leave_one_out(interactions, VALIDATION).past, leave_one_out(interactions, TEST)
    known = test.past
    WorkerInput(
        interactions.users, interactions.items, Steps(train.user_N, train.item_N), Steps(known.user_N, known.item_N)
    ).save(file)
    theirs = [rectools_python(), "-m", "tests.bench.rectools_sasrec", file, json.dumps(SASREC), threads]
    ours = [sys.executable, "-m", "tests.bench.item_net_worker", file, epochs, threads]
    with (
        Worker([str(word) for word in theirs], threads, folder) as their_worker,
        Worker([str(word) for word in ours], threads, folder) as our_worker,
    ):
        courses = {
            name: (worker, TrainingCourse(worker.about, test.target_U))
            for name, worker in ((THEIRS, their_worker), (OURS, our_worker))
        }
        for _ in range(epochs):
            for name, (worker, course) in courses.items():
                turn = course.take(*worker.turn())
                print_progress(f"{name}: {json.dumps(turn)}")
    found = {name: course.as_json() for name, (_, course) in courses.items()}
    return {
        "input": {
            "users": interactions.users,
            "items": interactions.items,
            "train_steps": len(train.user_N),
            "newest": NEWEST,
        },
        "threads": threads,
        "theirs": found[THEIRS],
        "ours": found[OURS],
        "compared": compared(found[THEIRS], found[OURS]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few hundred users, two epochs: to see that it runs")
    parser.add_argument("--epochs", type=int, help=f"of each; default {EPOCHS}")
    arguments = parser.parse_args()
    epochs = arguments.epochs or (QUICK_EPOCHS if arguments.quick else EPOCHS)
    result: Result = {"machine": machine(), "config": {"quick": arguments.quick, "epochs": epochs, "sasrec": SASREC}}
    began = time.perf_counter()
    with TemporaryDirectory(prefix="throughline-bench-") as folder:
        result |= both(Path(folder), arguments.quick, epochs)
    result["seconds_of_this_run"] = time.perf_counter() - began
    file = RESULTS.with_name("rectools-quick.json") if arguments.quick else RESULTS
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(result["theirs"], result["ours"], result["compared"]))
    print_progress(f"written: {file}")


if __name__ == "__main__":
    main()
