"""One run of `make bench gpu`: a training of transformer-1 on the visible device, its test, and scoring.

Prints one line of JSON at the end. Writes nDCG@10 of each test user to `ndcg.npy`.

Shape letters: U users, T tags.
"""

import argparse
import contextlib
import json
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from model.counts.model import fit_counts_to_history
from model.data.cutoffs import Cutoffs, training_cutoffs
from model.data.days import end_of_day
from model.data.folds import Histories, TrainingWindows
from model.data.history import history_of
from model.evaluation.entrants import training_data
from model.evaluation.holdout import build_test_set, predict_top_k
from model.metrics import mean_of_users
from model.training.challengers import TransformerChallenger
from model.transformer.distributed import Runtime
from model.transformer.fit import WEEKLY_TRANSFORMER
from model.transformer.progress import Progress
from model.transformer.publish import SavedTransformer

KNOWN_ON = "known_on"  # the day at whose end a row is the newest of its user
OLDEST = b"oldest"  # key of the metadata: the first day of the log
NDCG_FILE = "ndcg.npy"
WARM_UP_STEPS = 20  # compilation and the first use of kernels, not part of the speed
ROUNDS = 2  # of scoring; the second is warm


class OutOfTimeError(Exception):
    """The training has taken as long as it may."""


@dataclass
class StepClock:
    """A StepCallback that measures the speed after the warm-up, and ends a training that takes too long."""

    seconds: float
    started_at: float = field(default_factory=time.monotonic)
    first_step_at: float | None = None
    warm_at: float | None = None
    last_at: float = 0.0
    last: Progress | None = None

    def __call__(self, now: Progress) -> None:
        self.last, self.last_at = now, time.monotonic()
        if self.first_step_at is None:
            self.first_step_at = self.last_at
        if now.step == WARM_UP_STEPS:
            self.warm_at = self.last_at
        if self.last_at - self.started_at > self.seconds:
            raise OutOfTimeError

    def figures(self, is_whole: bool, seconds: float) -> Mapping[str, Any]:
        assert self.last is not None and self.first_step_at is not None, "the training took no step"
        warm_at, warm_up = (self.warm_at, WARM_UP_STEPS) if self.warm_at else (self.first_step_at, 1)
        per_second = max(1, self.last.step - warm_up) / max(self.last_at - warm_at, 1e-9)
        left = (self.last.steps - self.last.step) / per_second
        return {
            "is_whole": is_whole,
            "seconds": round(seconds, 1),
            "expected_seconds": round(seconds + left, 1),
            "seconds_to_first_step": round(self.first_step_at - self.started_at, 1),
            "seconds_of_warm_up": round(warm_at - self.first_step_at, 1),
            "seconds_of_steps": round(self.last_at - self.first_step_at, 1),
            "steps": self.last.step,
            "steps_planned": self.last.steps,
            "steps_per_second": round(per_second, 2),
            "events_per_second": round(self.last.events_per_second),
            "loss": self.last.loss,
        }


def read_rows(file: Path, through: date) -> tuple[Histories, Cutoffs]:
    """Return what was known at each moment of the training."""
    with pa.OSFile(str(file), "rb") as source:
        rows = pa.ipc.open_file(source).read_all()
    cutoffs = training_cutoffs(through, date.fromisoformat(rows.schema.metadata[OLDEST].decode()))
    days = pc.unique(rows[KNOWN_ON]).to_pylist()
    return {
        day: history_of(rows.filter(pc.equal(rows[KNOWN_ON], day)).drop_columns([KNOWN_ON])) for day in days
    }, cutoffs


def with_networks_on(saved: SavedTransformer, device: str) -> SavedTransformer:
    networks = tuple(deepcopy(network).to(device) for network in saved.model.networks)
    return SavedTransformer(replace(saved.model, networks=networks))


def scoring(saved: SavedTransformer, histories: Histories, day: date) -> Mapping[str, Any]:
    """Return the seconds that scoring takes on each device, and how far the affinities of the devices differ."""
    history, counts = histories[day], fit_counts_to_history(histories[day], day)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    found: dict[str, Any] = {"users": history.users}
    affinities, profiles = {}, {}
    for device in devices:
        scorer = with_networks_on(saved, device).scorer("bench", counts, history)
        took = []
        for _ in range(ROUNDS):
            started = time.monotonic()
            profiles[device] = scorer.score(history)
            took.append(round(time.monotonic() - started, 2))
        found[f"{device}_seconds"] = took
        known = history.before(end_of_day(day))
        affinities[device] = with_networks_on(saved, device).fitted_as_of(counts, history).scores_UT(known)
    if len(devices) > 1:
        difference_UT = np.abs(affinities["cpu"] - affinities["cuda"])
        order_UT = [np.argsort(-affinities[device], axis=1, kind="stable")[:, :10] for device in devices]
        found["largest_difference"] = float(difference_UT.max())
        found["mean_difference"] = float(difference_UT.mean())
        found["users_with_the_same_ten_tags"] = float((order_UT[0] == order_UT[1]).all(1).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--rows", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--through", type=date.fromisoformat, required=True)
    parser.add_argument("--size", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    histories, cutoffs = read_rows(arguments.rows, arguments.through)
    runtime = Runtime.detect()
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if runtime.accelerator == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
    }
    data = training_data(TrainingWindows(histories, cutoffs), histories, cutoffs.test)
    clock = StepClock(arguments.seconds)
    config = WEEKLY_TRANSFORMER.training_config
    config = replace(config, epochs=arguments.epochs or config.epochs)
    model = replace(WEEKLY_TRANSFORMER, size=arguments.size, training_config=config, on_step=clock)
    started = time.monotonic()
    trained = None
    with contextlib.suppress(OutOfTimeError):
        trained = TransformerChallenger(model).train(data, lambda step: None)
    result["train"] = clock.figures(trained is not None, time.monotonic() - started)
    if trained:
        result["calibration"] = trained.saved.model.facts["calibration"]
        test = build_test_set(histories, cutoffs, cutoffs.test)
        then = histories[cutoffs.test]
        fitted = trained.saved.fitted_as_of(fit_counts_to_history(then, cutoffs.test), then)
        top_k = predict_top_k(fitted, test)
        np.save(arguments.out / NDCG_FILE, top_k.ranked.ndcg_U(10))
        result["test"] = {
            "users": test.answering_users,
            "predict_seconds": round(top_k.seconds, 2),
            "ndcg_at_10": asdict(mean_of_users(top_k.ranked.ndcg_U(10))),
        }
        trained.saved.save(arguments.out)
        result["score"] = scoring(SavedTransformer.read(arguments.out), histories, cutoffs.last)
    peak = torch.cuda.max_memory_allocated() if runtime.accelerator == "cuda" else 0
    print(json.dumps({**result, "peak_gpu_gib": round(peak / 2**30, 3)}))


if __name__ == "__main__":
    main()
