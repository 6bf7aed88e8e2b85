"""Trains a network in a process of its own, or on each rank of torchrun:

    python child.py FOLDER SECONDS_PER_STEP

FOLDER holds training.pickle: the untrained network, the training set and the training configuration. Rank 0 writes
checkpoint.pt after every step. Each rank writes the weights that it ended with to weights.<rank>.pt.
"""

import pickle
import sys
import time
from pathlib import Path

import torch

from model.transformer.checkpoint import Checkpoint
from model.transformer.distributed import Runtime
from model.transformer.trainer import Trainer


def main(folder: Path, seconds_per_step: float) -> None:
    network, training_set, config = pickle.loads((folder / "training.pickle").read_bytes())
    trainer = Trainer(network, [training_set], config, Runtime.detect())
    average = trainer.run(lambda progress: time.sleep(seconds_per_step), Checkpoint(folder / "checkpoint.pt", 0.0))
    torch.save(average.state_dict(), folder / f"weights.{trainer.train_state.fabric.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
