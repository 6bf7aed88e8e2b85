"""A trained Transformer as it is kept: networks, what they know by name, the paths beside them, its calibration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from model.arrays import Floats
from model.counts.calibration import AS_STATED, Calibration
from model.counts.logistic import LogisticFormula
from model.evaluation.contestant import Ranker
from model.transformer.network import InterestTransformer
from model.transformer.size import Size
from model.transformer.vocabulary import Vocabulary

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


UNCHANGED = LogisticFormula(0.0, {LOG_ODDS: 1.0})
AS_TOLD = Calibrations(UNCHANGED, AS_STATED, None)


@dataclass(frozen=True, eq=False)
class InterestModel:
    """What is of a day (what was popular, the fit of counts-1) is no part of it; see `Anchored`."""

    size: Size
    vocabulary: Vocabulary
    networks: tuple[InterestTransformer, ...]
    paths: tuple[Ranker, ...]  # as of the end of training
    calibrations: Calibrations
    facts: Mapping[str, Any]  # what it was trained on and how it did, as JSON

    @property
    def device(self) -> torch.device:
        """Where its networks compute."""
        return next(self.networks[0].parameters()).device
