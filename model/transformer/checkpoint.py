"""A training on disk: written whole or not at all, and read back by the same training alone."""

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
from model.transformer.tensors import leaves

PROBED = 64  # users of a source whose questions are read to tell it from another

Fingerprint = dict[str, str]


def fingerprint(network: InterestTransformer, sources: Sequence[TrainingSet], recipe: TrainingConfig) -> Fingerprint:
    """Return what tells a training from another: every setting, the shapes of the network and the data.

    Of the data it reads the lengths of all users and the questions of some, evenly spread.
    """
    shapes = {name: list(weight.shape) for name, weight in network.state_dict().items()}
    settings = {"recipe": recipe.as_json(), "size": asdict(network.encoder.size)}
    told = {f"{group}.{name}": json.dumps(value) for group, part in settings.items() for name, value in part.items()}
    told |= {f"shape of {name}": json.dumps(shape) for name, shape in shapes.items()}
    return told | {f"source {number}": _digest(source) for number, source in enumerate(sources)}


def _digest(source: TrainingSet) -> str:
    lengths_U = source.lengths_U().astype(np.int64)
    told = sha256(lengths_U.tobytes())
    for user in np.unique(np.linspace(0, len(lengths_U) - 1, PROBED).astype(np.int64)):
        for name, tensor in leaves(source.question(user[None])).items():
            told.update(name.encode() + tensor.numpy().tobytes())
    return f"{len(lengths_U)} users, sha256 {told.hexdigest()[:16]}"


@dataclass
class Checkpoint:
    """The file that a killed training goes on from. Its clock tells when to write, never what."""

    file: Path
    every_seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    written_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.written_at = self.clock()

    @property
    def is_due(self) -> bool:
        return self.clock() - self.written_at >= self.every_seconds

    def write(self, of: Fingerprint, state: dict[str, Any]) -> None:
        partial = self.file.with_name(f"{self.file.name}.partial")
        with partial.open("wb") as out:
            torch.save({"of": of, "state": state}, out)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(self.file)
        self.written_at = self.clock()

    def read(self, of: Fingerprint) -> dict[str, Any] | None:
        """Return what was written, None if nothing was.

        Raises InputError if the file is no checkpoint, or that of another training.
        """
        if not self.file.exists():
            return None
        try:
            if not is_zipfile(self.file):
                raise pickle.UnpicklingError("no archive")  # torch would read on, and fail in any way there is
            told = torch.load(self.file, map_location="cpu", weights_only=True)
            found, state = dict(told["of"]), dict(told["state"])
        except (RuntimeError, pickle.UnpicklingError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.file} cannot be read as a checkpoint ({type(error).__name__}): expected one that a training "
                f"wrote, which is whole or not there; remove the file to begin anew"
            ) from error
        differing = [name for name in {**of, **found} if found.get(name) != of.get(name)]
        if differing:
            name = differing[0]
            raise InputError(
                f"{self.file} is the checkpoint of another training: {name} is {found.get(name)} there and "
                f"{of.get(name)} here ({len(differing)} differences); go on as it was begun, or remove the file to "
                f"begin anew"
            )
        return state
