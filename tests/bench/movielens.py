"""`make bench movielens`: next-item networks on MovieLens-1M, alone, with the linear map, and together.

Each seed trains by two ranks of one thread, one seed after the other. The second last items select the epoch of a
network and the weight of the linear map in a blend. The last items are the test. Nothing is fitted on either.
Writes tests/bench/results/movielens.json.

python -m tests.bench.movielens [--quick] [--seeds 1,2,3] [--ranks 2] [--nets FOLDER]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.baselines.transition import Bag, TransitionSettings
from model.metrics import mean_of_users
from tests.bench.item_training import TrainedNet, config_of, query_interactions
from tests.bench.machine import machine
from tests.bench.next_item.blend import MIN_PROBABILITY, blended_BV, log_probability_BV, ndcg_by_weight
from tests.bench.next_item.ranker import NetRanker
from tests.bench.public_sets.item_models import TransitionOfItems
from tests.bench.public_sets.movielens import NEWEST
from tests.bench.public_sets.next_item import (
    TEST,
    VALIDATION,
    ItemRanker,
    LeaveOneOut,
    hits_U,
    leave_one_out,
    ndcg_U,
    newest,
    ranks_B,
    ranks_U,
)

RESULTS = Path(__file__).with_name("results") / "movielens.json"
WEIGHTS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.3, 1.6)  # of the linear map in a blend
# Its long bag adds to networks that read 200 items. On the validation the blend is better than with two bags (.2208
# nDCG@10, .2196), the map alone is not (.1763, .1783).
PRIOR = TransitionOfItems(TransitionSettings((Bag(0.6, 10), Bag(0.93, 50), Bag(0.995, 200)), 100.0))
Result = dict[str, Any]
Scores = list[NDArray[Any]]  # of each net, all users by all items


def print_progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def trained(seed: int, ranks: int, quick: bool, folder: Path) -> TrainedNet:
    """Return the net of a seed, from the folder if it was trained there with the current configuration."""
    file = folder / f"seed-{seed}{'-quick' if quick else ''}.pt"
    if file.exists() and TrainedNet.load(file).config == config_of(seed, quick).as_json():
        print_progress(f"seed {seed}: read from {file}")
        return TrainedNet.load(file)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    arguments = ["--seed", str(seed), "--out", str(file), *(["--quick"] if quick else [])]
    command = [sys.executable, "-m", *torchrun, "-m", "tests.bench.item_training", *arguments]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return TrainedNet.load(file)


def fitted_prior(validation: LeaveOneOut) -> tuple[ItemRanker, Result]:
    """Return the linear map, and what it took."""
    began = time.perf_counter()
    ranker = PRIOR.fit(validation.past)
    seconds = time.perf_counter() - began
    ndcg = float(ndcg_U(ranks_U(ranker, validation, NEWEST)).mean())
    return ranker, {"settings": PRIOR.settings(), "seconds": seconds, "validation_ndcg_at_10": ndcg}


def metrics(scores_UV: NDArray[Any], task: LeaveOneOut) -> Result:
    """Return HR@10 and nDCG@10 with their 95 % intervals over users."""
    rank_U = ranks_B(scores_UV, task.past, task.target_U)
    return {"hr_at_10": asdict(mean_of_users(hits_U(rank_U))), "ndcg_at_10": asdict(mean_of_users(ndcg_U(rank_U)))}


def blend(nets: tuple[Scores, Scores], priors: Scores, validation: LeaveOneOut, test: LeaveOneOut) -> Result:
    """Return the figures of the blend on the test; the validation selects its weight. Pairs: validation, test."""
    tried = ndcg_by_weight(nets[0], priors[0], validation, WEIGHTS)
    weight = max(tried, key=lambda one: tried[one])
    found = metrics(blended_BV(nets[1], priors[1], weight), test)
    return {"prior_weight": weight, "validation_ndcg_at_10": tried, **found}


def spread(found: Sequence[Result]) -> Result:
    """Return mean, minimum and maximum over seeds."""
    return {
        name: {"mean": float(np.mean(values)), "least": min(values), "most": max(values)}
        for name in ("hr_at_10", "ndcg_at_10")
        for values in [[one[name]["mean"] for one in found]]
    }


def evaluate_variants(
    nets: Sequence[TrainedNet], prior: ItemRanker, validation: LeaveOneOut, test: LeaveOneOut
) -> Result:
    """Return every variant on the test: each network, each with the linear map, and all together."""
    tasks = [validation, test]
    priors = [log_probability_BV(prior, newest(one.past, NEWEST)) for one in tasks]
    scores: tuple[Scores, Scores] = ([], [])
    of_seeds = []
    for trained_net in nets:
        began = time.perf_counter()
        for scores_of_nets, one in zip(scores, tasks, strict=True):
            scores_of_nets.append(NetRanker(trained_net.net).scores_BV(newest(one.past, NEWEST)))
        rate = 2 * test.users / (time.perf_counter() - began)
        alone = {key: value for key, value in vars(trained_net).items() if key not in ("net", "config")}
        of_seeds.append(
            {
                "seed": trained_net.config["seed"],
                **alone,
                "users_scored_per_second": rate,
                "net": metrics(scores[1][-1], test),
                "net_and_prior": blend((scores[0][-1:], scores[1][-1:]), priors, validation, test),
            }
        )
        print_progress(json.dumps(of_seeds[-1]))
    return {
        "seeds": of_seeds,
        "net": spread([one["net"] for one in of_seeds]),
        "net_and_prior": spread([one["net_and_prior"] for one in of_seeds]),
        "all_nets": metrics(blended_BV(scores[1], priors[1], 0.0), test),
        "all_nets_and_prior": blend(scores, priors, validation, test),
        "prior_alone": metrics(priors[1], test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few hundred users, two epochs, to see that it runs")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--ranks", type=int, default=2, help="processes of one training")
    parser.add_argument("--nets", type=Path, help="folder of trained networks; those in it are not trained again")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    torch.set_num_threads(1)
    result: Result = {
        "machine": machine(),
        "config": {
            "seeds": seeds,
            "quick": arguments.quick,
            "ranks": arguments.ranks,
            "recipe": config_of(0, arguments.quick).as_json(),
            "prior_weights": WEIGHTS,
            "least_chance_of_prior": MIN_PROBABILITY,
            "torch": torch.__version__,
        },
    }
    began = time.perf_counter()
    interactions = query_interactions(arguments.quick)
    validation, test = leave_one_out(interactions, VALIDATION), leave_one_out(interactions, TEST)
    result["input"] = {
        "users": interactions.users,
        "items": interactions.items,
        "newest": NEWEST,
        "protocol": "leave one out, all unseen",
    }
    with TemporaryDirectory(prefix="throughline-bench-") as folder:
        kept = arguments.nets or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        nets = [trained(seed, arguments.ranks, arguments.quick, kept) for seed in seeds]
    prior, result["prior"] = fitted_prior(validation)
    result |= evaluate_variants(nets, prior, validation, test)
    result["seconds_of_this_run"] = time.perf_counter() - began
    file = RESULTS.with_name("movielens-quick.json") if arguments.quick else RESULTS
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for variant in ("net", "net_and_prior", "all_nets", "all_nets_and_prior"):
        print_progress(
            f"{variant}: "
            + ", ".join(
                f"{name} {one['mean']:.4f}"
                for name, one in result[variant].items()
                if name.endswith("at_10") and "mean" in one
            )
        )
    print_progress(f"written: {file}")


if __name__ == "__main__":
    main()
