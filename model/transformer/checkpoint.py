"""The checkpoint of a training: written atomically, and read back by the same training only."""

import json
import os
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch

from model.errors import InputError
from model.transformer.config import TrainingConfig
from model.transformer.dataset import TrainingSet
from model.transformer.network import InterestTransformer
from model.transformer.tensors import flatten
from throughline.stores import copy_whole

SAMPLED_USERS = 64  # of a training set, whose batches are hashed

Fingerprint = dict[str, str]


def fingerprint(network: InterestTransformer, sets: Sequence[TrainingSet], config: TrainingConfig) -> Fingerprint:
    """Return what identifies a training: every setting, the shapes of the network, and hashes of the data.

    The hash of a training set covers the lengths of all users and the batches of some, evenly spread.
    """
    shapes = {name: list(weight.shape) for name, weight in network.state_dict().items()}
    settings = {"training": config.as_json(), "network": asdict(network.encoder.config)}
    values = {f"{group}.{name}": json.dumps(value) for group, part in settings.items() for name, value in part.items()}
    values |= {f"shape of {name}": json.dumps(shape) for name, shape in shapes.items()}
    return values | {f"training set {number}": _digest(one) for number, one in enumerate(sets)}


def _digest(training_set: TrainingSet) -> str:
    lengths_U = training_set.lengths_U().astype(np.int64)
    digest = sha256(lengths_U.tobytes())
    for user in np.unique(np.linspace(0, len(lengths_U) - 1, SAMPLED_USERS).astype(np.int64)):
        for name, tensor in flatten(training_set.batch(user[None])).items():
            digest.update(name.encode() + tensor.numpy().tobytes())
    return f"{len(lengths_U)} users, sha256 {digest.hexdigest()[:16]}"


@dataclass
class Checkpoint:
    """The file from which a killed training resumes. The clock decides only when it is written.

    in_store: its copy in a folder that machines share or in S3, from which another machine resumes; None: none.
    """

    file: Path
    every_seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    in_store: Path | None = None
    written_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.written_at = self.clock()

    @property
    def is_due(self) -> bool:
        return self.clock() - self.written_at >= self.every_seconds

    def write(self, training: Fingerprint, state: dict[str, Any]) -> None:
        partial = self.file.with_name(f"{self.file.name}.partial")
        with partial.open("wb") as out:
            torch.save({"training": training, "state": state}, out)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(self.file)
        if self.in_store:
            copy_whole(self.file, self.in_store)
        self.written_at = self.clock()

    def read(self, training: Fingerprint) -> dict[str, Any] | None:
        """Return the state that was written, None if there is no file. That in the store is the newer one.

        Raises InputError if the file is not a checkpoint, or is one of another training.
        """
        if not self.in_store or not self.in_store.is_file():
            return self._load(training, self.file) if self.file.exists() else None
        copy_whole(self.in_store, self.file)
        try:
            return self._load(training, self.in_store)
        except InputError:
            self.file.unlink()  # else removing the one in the store would not be enough
            raise

    def _load(self, training: Fingerprint, place: Path) -> dict[str, Any]:
        """place: what a message names."""
        try:
            if not is_zipfile(self.file):
                raise pickle.UnpicklingError("not a zip archive")  # torch.load raises various errors on such a file
            saved = torch.load(self.file, map_location="cpu", weights_only=True)
            found, state = dict(saved["training"]), dict(saved["state"])
        except (RuntimeError, pickle.UnpicklingError, KeyError, TypeError) as error:
            raise InputError(
                f"{place} is not a checkpoint of this version ({type(error).__name__}): remove the file to start "
                f"the training again"
            ) from error
        differing = [name for name in {**training, **found} if found.get(name) != training.get(name)]
        if differing:
            name = differing[0]
            raise InputError(
                f"{place} is the checkpoint of another training: {name} is {found.get(name)} in the checkpoint and "
                f"{training.get(name)} in this training ({len(differing)} differences); resume with the same settings "
                f"and data, or remove the file to start again"
            )
        return state
