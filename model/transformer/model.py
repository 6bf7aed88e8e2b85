"""A trained Transformer as it is kept: networks, what they know by name, the paths beside them, its calibration.

Keeps an interest model as a folder of plain data; reading it runs no code of its files.

model.json                 sizes, names, calibration, how training went
networks-N.safetensors     weights of network N
path-N.ubj, path-N.npz     what path N has learnt, where it has
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.calibration import IDENTITY, Calibration, LogisticFormula
from model.counts.model import UNTUNED, Counts1
from model.data.arrays import Floats
from model.errors import InputError
from model.interfaces import FittedModel
from model.transformer.config import NetworkConfig
from model.transformer.distributed import scoring_device
from model.transformer.network import InterestTransformer
from model.transformer.stacked_features import no_users, read_stacked_model, stack, write_stacked_model
from model.transformer.tokens import Vocabulary

KIND = "transformer-1"
LOG_ODDS = "log_odds"


@dataclass(frozen=True)
class Calibrations:
    """From log-odds of the networks to probabilities, fitted to a week of users of which these had not learnt."""

    affinity: LogisticFormula
    bent: Calibration  # applied to what the formula of the affinity says
    returning: LogisticFormula | None  # None where counts-1 foretells better who comes back

    def affinity_N(self, log_odds_N: Floats) -> Floats:
        """Return the probability of each; it rises with the log-odds, so no ranking changes."""
        return self.bent.apply(self.affinity.probability_N(log_odds_N[:, None]))


IDENTITY_LINE = LogisticFormula(0.0, {LOG_ODDS: 1.0})
UNCALIBRATED = Calibrations(IDENTITY_LINE, IDENTITY, None)


@dataclass(frozen=True, eq=False)
class InterestModel:
    """What is of a day (what was popular, the fit of counts-1) is no part of it; see `Anchored`."""

    size: NetworkConfig
    vocabulary: Vocabulary
    networks: tuple[InterestTransformer, ...]
    paths: tuple[FittedModel, ...]  # as of the end of training
    calibrations: Calibrations
    facts: Mapping[str, Any]  # what it was trained on and how it did, as JSON

    @property
    def device(self) -> torch.device:
        """Where its networks compute."""
        return next(self.networks[0].parameters()).device


DESCRIPTION = "model.json"
FORMAT = 2  # another number for whatever this code would misread


def write_model(model: InterestModel, folder: Path) -> None:
    """Write the files of a model into an existing folder. Raises ValueError if a path of it cannot be kept."""
    calibrations = model.calibrations
    told = {
        "format": FORMAT,
        "size": asdict(model.size),
        "networks": len(model.networks),
        "paths": [write_stacked_model(path, folder, number) for number, path in enumerate(model.paths)],
        "calibrations": {
            "affinity": asdict(calibrations.affinity),
            "bent": {"stated": calibrations.bent.predicted, "observed": calibrations.bent.observed},
            "returning": calibrations.returning and asdict(calibrations.returning),
        },
        "facts": model.facts,
        "vocabulary": model.vocabulary.as_json(),
    }
    (folder / DESCRIPTION).write_text(json.dumps(told) + "\n")
    for number, network in enumerate(model.networks):
        save_file(network.state_dict(), _weights(folder, number))


def read_model(folder: Path) -> InterestModel:
    """Read what `write_model` wrote, the networks onto a GPU where there is one.

    Raises InputError if another version of this code wrote it.
    """
    told = json.loads((folder / DESCRIPTION).read_text())
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        found = told.get("format") if isinstance(told, dict) else None
        raise InputError(
            f"the model in {folder} is of the format {found}, expected {FORMAT}: another version made it; train again, "
            f"or score with --model none"
        )
    vocabulary, standing_in = Vocabulary.from_json(told["vocabulary"]), Counts1(0, UNTUNED, no_users())
    paths = tuple(read_stacked_model(path, folder, number, standing_in) for number, path in enumerate(told["paths"]))
    return InterestModel(
        size=_size(told["size"], folder),
        vocabulary=vocabulary,
        networks=tuple(
            _network(_size(told["size"], folder), vocabulary, stack(paths).numbers, _weights(folder, number))
            for number in range(told["networks"])
        ),
        paths=paths,
        calibrations=_calibrations(told["calibrations"]),
        facts=told["facts"],
    )


def _calibrations(told: Mapping[str, Any]) -> Calibrations:
    bent, returning = told["bent"], told["returning"]
    return Calibrations(
        LogisticFormula(**told["affinity"]),
        Calibration(tuple(bent["stated"]), tuple(bent["observed"])),
        LogisticFormula(**returning) if returning else None,
    )


def _size(told: Mapping[str, Any], folder: Path) -> NetworkConfig:
    try:
        return NetworkConfig(**told)
    except TypeError as unlike:
        raise InputError(
            f"the size of the model in {folder} is not told as this version does ({unlike}): train again, or "
            f"score with --model none"
        ) from None


def _network(size: NetworkConfig, vocabulary: Vocabulary, paths: int, weights: Path) -> InterestTransformer:
    known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    network = InterestTransformer(size, *known, paths=paths)
    try:
        network.load_state_dict(load_file(weights))
    except (RuntimeError, SafetensorError, FileNotFoundError) as unlike:
        found = str(unlike).splitlines()[0]
        raise InputError(
            f"{weights} does not hold the weights of a network that this version builds ({found}): train again, or "
            f"score with --model none"
        ) from None
    return network.eval().requires_grad_(False).to(scoring_device())


def _weights(folder: Path, number: int) -> Path:
    return folder / f"networks-{number}.safetensors"
