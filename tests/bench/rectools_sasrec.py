"""RecTools' SASRec as a worker that takes turns; `make bench rectools` runs it in RecTools' own environment.

python -m tests.bench.rectools_sasrec FILE SETTINGS THREADS, where SETTINGS is JSON for SASRecModel.

Shape letters: U users, K places of a list.
"""

import json
import logging
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from tests.bench.workers import Ints, Steps, Turns, WorkerInput

DEPTH = 10
SETTINGS = (
    *("n_blocks", "n_heads", "n_factors", "dropout_rate", "session_max_len", "use_pos_emb", "use_key_padding_mask"),
    *("loss", "lr", "batch_size", "recommend_batch_size", "dataloader_num_workers"),
)


class EpochClock(Callback):  # type: ignore[misc]
    """Measures an epoch from its first batch to its last, without the set-up around it."""

    seconds = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds = time.perf_counter() - self.began


def one_epoch() -> Trainer:
    """Return RecTools' own trainer on the CPU with a clock; each fit sets its number of epochs."""
    return Trainer(
        max_epochs=1,
        min_epochs=1,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[EpochClock()],
    )


def dataset(steps: Steps) -> Dataset:
    """Return steps as a data set of RecTools; the order stands for the moment."""
    at_N = pd.to_datetime(np.arange(len(steps.user_N)), unit="s")
    interactions = {Columns.User: steps.user_N, Columns.Item: steps.item_N, Columns.Weight: 1.0, Columns.Datetime: at_N}
    return Dataset.construct(pd.DataFrame(interactions))


def lists(recommended: pd.DataFrame, users: int) -> Ints:
    """Return the best items of each user (U, K), -1 where a list is short."""
    best_UK = np.full((users, DEPTH), -1, dtype=np.int64)
    best_UK[recommended[Columns.User], recommended[Columns.Rank] - 1] = recommended[Columns.Item]
    return best_UK


def main() -> None:
    input_file, settings, threads = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
    turns = Turns()
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    seed_everything(settings.pop("seed"), verbose=False)
    worker_input = WorkerInput.load(input_file)
    train, known, all_users = dataset(worker_input.train), dataset(worker_input.known), np.arange(worker_input.users)
    model = SASRecModel(**settings, get_trainer_func=one_epoch, recommend_torch_device="cpu")
    packages = ("rectools", "torch", "pytorch-lightning", "numpy", "pandas")
    turns.ready({"versions": {name: version(name) for name in packages}, "settings": all_settings(model)})
    steps_U = np.bincount(worker_input.train.user_N, minlength=worker_input.users)
    tokens = int(np.minimum(np.maximum(steps_U - 1, 0), model.session_max_len).sum())
    for file in turns.files():
        model.fit_partial(train, min_epochs=1, max_epochs=1)
        [clock] = [one for one in model.fit_trainer.callbacks if isinstance(one, EpochClock)]
        began = time.perf_counter()
        recommended = model.recommend(all_users, known, k=DEPTH, filter_viewed=True)
        scored = time.perf_counter() - began
        figures = {"epoch_seconds": clock.seconds, "tokens": tokens, "scoring_seconds": scored}
        turns.done(file, lists(recommended, worker_input.users), figures)


def all_settings(model: SASRecModel) -> dict[str, Any]:
    """Return the settings of training and ranking, defaults included."""
    return {name: getattr(model, name) for name in SETTINGS}


if __name__ == "__main__":
    main()
