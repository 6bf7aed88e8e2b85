"""Trains on stored questions in a process of its own, or on each rank of torchrun:

    python child.py FOLDER SECONDS_A_STEP

FOLDER holds taught.arrow, judged.arrow and network.pt (the network, untrained, and the recipe); rank 0 writes
checkpoint.pt after every step, and each rank the weights that it ended with, weights.<rank>.pt.
"""

import sys
import time
from pathlib import Path

import torch

from model.transformer.checkpoint import Checkpoint
from model.transformer.distributed import Runtime
from model.transformer.early_stop import LeastLoss
from model.transformer.store import StoredSource
from model.transformer.trainer import Trainer


def main(folder: Path, seconds_a_step: float) -> None:
    network, recipe = torch.load(folder / "network.pt", weights_only=False)
    taught, judged = (StoredSource(folder / f"{name}.arrow") for name in ("taught", "judged"))
    trainer = Trainer(network, [taught], recipe, LeastLoss(judged, recipe), Runtime.found())
    average = trainer.run(lambda told: time.sleep(seconds_a_step), Checkpoint(folder / "checkpoint.pt", 0.0))
    torch.save(average.state_dict(), folder / f"weights.{trainer.learner.fabric.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
