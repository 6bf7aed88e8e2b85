"""A trained Transformer, and its folder of plain data. Reading it runs no code from its files.

model.json                          config, vocabulary, calibrations, and facts about the training
network-N.safetensors               weights of network N
stacked-N.ubj, stacked-N.npz        arrays of stacked model N, if it has any

Shape letter: N predictions.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.calibration import IDENTITY, Calibration, LogisticFormula
from model.counts.model import Counts1, untuned
from model.data.arrays import Floats
from model.data.days import HORIZON_DAYS
from model.errors import InputError
from model.interfaces import FittedModel
from model.transformer.config import NetworkConfig
from model.transformer.distributed import scoring_device
from model.transformer.network import InterestTransformer
from model.transformer.stacked_features import no_users, read_stacked_model, stack, write_stacked_model
from model.transformer.tokens import Vocabulary

KIND = "transformer-1"
DESCRIPTION = "model.json"
FORMAT = 3  # raised whenever this code would misread an older folder
REMEDY = "train again, or score with --model none"
LOG_ODDS = "log_odds"


@dataclass(frozen=True)
class Calibrations:
    """From log-odds of the networks to probabilities, fitted to a week of users whose labels were held out."""

    affinity: LogisticFormula
    isotonic: Calibration  # applied to the probabilities of the formula
    returning: LogisticFormula | None  # None if counts-1 predicts the return better

    def affinity_N(self, log_odds_N: Floats) -> Floats:
        """Return the probability of each prediction. It rises with the log-odds, so no ranking changes."""
        return self.isotonic.apply(self.affinity.probability_N(log_odds_N[:, None]))


IDENTITY_LINE = LogisticFormula(0.0, {LOG_ODDS: 1.0})
UNCALIBRATED = Calibrations(IDENTITY_LINE, IDENTITY, None)


@dataclass(frozen=True, eq=False)
class InterestModel:
    """A trained model without the state of a day (popularity, the fit of counts-1); see `AsOfPredictor`."""

    config: NetworkConfig
    vocabulary: Vocabulary
    networks: tuple[InterestTransformer, ...]
    stacked_models: tuple[FittedModel, ...]  # fitted at the end of training
    calibrations: Calibrations
    facts: Mapping[str, Any]  # training data and results, as JSON

    @property
    def device(self) -> torch.device:
        """The device of its networks."""
        return self.networks[0].device


def write_model(model: InterestModel, folder: Path) -> None:
    """Write the files of a model into an existing folder. Raises ValueError if a stacked model cannot be saved."""
    calibrations = model.calibrations
    description = {
        "format": FORMAT,
        "config": asdict(model.config),
        "networks": len(model.networks),
        "stacked_models": [
            write_stacked_model(fitted, folder, number) for number, fitted in enumerate(model.stacked_models)
        ],
        "calibrations": asdict(calibrations),
        "facts": model.facts,
        "vocabulary": model.vocabulary.as_json(),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description) + "\n")
    for number, network in enumerate(model.networks):
        save_file(network.state_dict(), _weights(folder, number))


def read_model(folder: Path) -> InterestModel:
    """Read what `write_model` wrote, with the networks on a GPU if there is one.

    Raises InputError if another version of this code wrote it.
    """
    saved = json.loads((folder / DESCRIPTION).read_text())
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        found = saved.get("format") if isinstance(saved, dict) else None
        raise InputError(
            f"the model in {folder} has format {found}, expected {FORMAT}: another version wrote it; {REMEDY}"
        )
    config, vocabulary = _config(saved["config"], folder), Vocabulary.from_json(saved["vocabulary"])
    placeholder = Counts1(0, untuned(HORIZON_DAYS), no_users())
    stacked_models = tuple(
        read_stacked_model(one, folder, number, placeholder) for number, one in enumerate(saved["stacked_models"])
    )
    features = stack(stacked_models).count
    return InterestModel(
        config=config,
        vocabulary=vocabulary,
        networks=tuple(
            _network(config, vocabulary, features, _weights(folder, number)) for number in range(saved["networks"])
        ),
        stacked_models=stacked_models,
        calibrations=TypeAdapter(Calibrations).validate_python(saved["calibrations"]),
        facts=saved["facts"],
    )


def _config(saved: Mapping[str, Any], folder: Path) -> NetworkConfig:
    try:
        return NetworkConfig(**saved)
    except TypeError as error:
        raise InputError(f"the config of the model in {folder} does not fit this version ({error}): {REMEDY}") from None


def _network(config: NetworkConfig, vocabulary: Vocabulary, features: int, weights: Path) -> InterestTransformer:
    names = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    network = InterestTransformer(config, *names, features=features)
    try:
        network.load_state_dict(load_file(weights))
    except (RuntimeError, SafetensorError, FileNotFoundError) as error:
        found = str(error).splitlines()[0]
        raise InputError(
            f"{weights} does not hold the weights of a network of this version ({found}): {REMEDY}"
        ) from None
    return network.eval().requires_grad_(False).to(scoring_device())


def _weights(folder: Path, number: int) -> Path:
    return folder / f"network-{number}.safetensors"
