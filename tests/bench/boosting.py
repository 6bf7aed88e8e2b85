"""`make bench boosting`: boosting-1 as `throughline train` grows it, on three shops and on Taobao, against counts-1.

The shops are those of `make demo` from three seeds, tested on the week through 2026-02-01. Taobao is tested on the
next day. --rows adds the data of a home, as `tests.bench.gpu --write-rows` copies it. A paired bootstrap compares two
versions of the code: --values writes the values of all users, and --against reads those of the other version.

python -m tests.bench.boosting [--quick] [--rows FILE] [--values FILE] [--against FILE]
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from model.counts.model import fit_counts_to_history
from model.data.arrays import Floats
from model.data.cutoffs import Cutoffs, training_cutoffs
from model.data.folds import Histories, TrainingWindows
from model.evaluation.entrants import PretrainedCounts, training_data
from model.evaluation.holdout import TestSet, build_test_set, predict_top_k
from model.evaluation.metrics import ranking_values
from model.interfaces import FittedModel, no_callback
from model.metrics import mean_of_users, paired_difference
from model.training.challengers import BoostingChallenger
from pipeline.demo.plan import DemoPlan
from tests.bench.gpu_worker import read_rows
from tests.bench.machine import machine
from tests.bench.planted_world import planted_world
from tests.bench.public_sets.files import data_folder
from tests.bench.public_sets.sets import TAOBAO_SPLIT
from tests.bench.public_sets.tag_bench import known_of
from tests.bench.public_sets.taobao import read_taobao

RESULTS = Path(__file__).with_name("results") / "boosting.json"
SEEDS = (DemoPlan().seed, 1, 2)
QUICK_USERS = 300
THROUGH = date(2026, 2, 1)
METRICS = ("ndcg_at_10", "f1_at_5")
Values = Mapping[str, Floats]  # by metric, one of each test user


def shops(users: int) -> Iterator[tuple[str, Histories, Cutoffs]]:
    """Yield the name, the data and the cutoffs of each made-up shop."""
    for seed in SEEDS:
        plan = DemoPlan(seed=seed, users=users)
        cutoffs = training_cutoffs(THROUGH, plan.first_day)
        yield f"shop-{seed}", known_of(planted_world(plan).history, cutoffs), cutoffs


def values_of(histories: Histories, cutoffs: Cutoffs) -> tuple[Values, Values, Mapping[str, Any]]:
    """Return the metrics of boosting-1 and of counts-1, and the chosen settings."""
    data = training_data(TrainingWindows(histories, cutoffs), histories, cutoffs.test)
    trained = BoostingChallenger().train(data, no_callback)
    test = build_test_set(histories, cutoffs, cutoffs.test)
    then, horizon_days = histories[cutoffs.test], cutoffs.horizon_days
    boosting = trained.saved.fitted_as_of(fit_counts_to_history(then, cutoffs.test, horizon_days), then)
    counts = PretrainedCounts(horizon_days).as_of(histories, cutoffs.test)
    return _metrics(boosting, test), _metrics(counts, test), trained.parameters()


def _metrics(model: FittedModel, test: TestSet) -> Values:
    values = ranking_values(predict_top_k(model, test).ranked)
    return {metric: values[metric] for metric in METRICS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few users of each shop, to see that it runs")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="the rows of a home")
    parser.add_argument("--values", type=Path, metavar="FILE", help="write the values of each user to an npz file")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with the values of another version")
    arguments = parser.parse_args()
    sets = [*shops(QUICK_USERS if arguments.quick else DemoPlan().users)]
    if arguments.rows:
        sets.append(("home", *read_rows(arguments.rows, THROUGH)))
    if not arguments.quick:
        sets.append(("taobao", known_of(read_taobao(data_folder()).history, TAOBAO_SPLIT), TAOBAO_SPLIT))
    other = np.load(arguments.against) if arguments.against else {}
    kept: dict[str, Floats] = {}
    rows = []
    for name, histories, cutoffs in sets:
        boosting, counts, settings = values_of(histories, cutoffs)
        row: dict[str, Any] = {"data": name, "settings": settings, "metrics": {}}
        for metric in METRICS:
            kept[f"{name}/{metric}"] = value_U = boosting[metric]
            figures = {"mean": mean_of_users(value_U), "above_counts": paired_difference(value_U, counts[metric])}
            if f"{name}/{metric}" in other:
                figures["above_other_version"] = paired_difference(value_U, other[f"{name}/{metric}"])
            row["metrics"][metric] = {key: asdict(one) for key, one in figures.items()}
            print(
                name,
                metric,
                {key: f"{one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]" for key, one in figures.items()},
            )
        rows.append(row)
    if arguments.values:
        np.savez(arguments.values, allow_pickle=False, **kept)
    file = RESULTS.with_stem("boosting-quick") if arguments.quick else RESULTS
    file.write_text(json.dumps({"machine": machine(), "sets": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
