"""`make bench rectools`: a next-item net beside RecTools' SASRec on MovieLens-1M, on the same cores in one run.

Both have width 64, two blocks of two heads, dropout .2 and the newest 200 items of a user; all else of SASRec is
RecTools' default (full softmax, batches of 128 users, learning rate .001), all else of ours its recipe. Both learn from
all but the last two items of everybody and rank all that is unseen for the last one, knowing the one before. They take
turns: an epoch and a ranking of theirs, then of ours, while the other waits; each has all cores that this process may
use. Nothing is chosen by the question. An epoch of ours reads more: the newest 200 items of everybody, as theirs, and
of longer lives another 200 from before. Writes tests/bench/results/rectools.json.

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
from tests.bench.public_sets.next_item import TEST, VALIDATION, question
from tests.bench.rectools_compared import OURS, THEIRS, Course, Result, compared, markdown
from tests.bench.rectools_environment import rectools_python
from tests.bench.turns import Handed, Steps, Worker

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


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def cores() -> int:
    """Count the cores that this process may use: fewer under `taskset`."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def both(folder: Path, is_quick: bool, epochs: int) -> Result:
    """Train both in turns, and return what they come to. folder: for what is handed over."""
    interactions, file, threads = query_interactions(is_quick), folder / "handed.npz", cores()
    taught, asked = question(interactions, VALIDATION).past, question(interactions, TEST)
    known = asked.past
    Handed(
        interactions.users, interactions.things, Steps(taught.user_N, taught.item_N), Steps(known.user_N, known.item_N)
    ).save(file)
    theirs = [rectools_python(), "-m", "tests.bench.rectools_sasrec", file, json.dumps(SASREC), threads]
    ours = [sys.executable, "-m", "tests.bench.item_net_in_turns", file, epochs, threads]
    with (
        Worker([str(word) for word in theirs], threads, folder) as their_worker,
        Worker([str(word) for word in ours], threads, folder) as our_worker,
    ):
        courses = {
            name: (worker, Course(worker.about, asked.target_U))
            for name, worker in ((THEIRS, their_worker), (OURS, our_worker))
        }
        for _ in range(epochs):
            for name, (worker, course) in courses.items():
                turn = course.take(*worker.turn())
                say(f"{name}: {json.dumps(turn)}")
    found = {name: course.as_json() for name, (_, course) in courses.items()}
    return {
        "asked": {
            "users": interactions.users,
            "items": interactions.things,
            "taught_steps": len(taught.user_N),
            "newest": NEWEST,
        },
        "threads": threads,
        "theirs": found[THEIRS],
        "ours": found[OURS],
        "compared": compared(found[THEIRS], found[OURS]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few hundred users, two epochs: does it run at all?")
    parser.add_argument("--epochs", type=int, help=f"of each; {EPOCHS} unless told")
    told = parser.parse_args()
    epochs = told.epochs or (QUICK_EPOCHS if told.quick else EPOCHS)
    result: Result = {"machine": machine(), "config": {"quick": told.quick, "epochs": epochs, "sasrec": SASREC}}
    began = time.perf_counter()
    with TemporaryDirectory(prefix="throughline-bench-") as folder:
        result |= both(Path(folder), told.quick, epochs)
    result["seconds_of_this_run"] = time.perf_counter() - began
    file = RESULTS.with_name("rectools-quick.json") if told.quick else RESULTS
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(result["theirs"], result["ours"], result["compared"]))
    say(f"written: {file}")


if __name__ == "__main__":
    main()
