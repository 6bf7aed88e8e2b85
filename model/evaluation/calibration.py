"""Calibrates a model's scores: fitted on the validation cutoff, applied on the test cutoff.

Both methods, temperature scaling and isotonic regression, rise with the score, so no ranking changes.

Shape letters: U users, L predicted tags of a user, N scores.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, log_loss

from model.calibration import fit_isotonic
from model.data.arrays import Bools, Floats
from model.data.users import stable_hash
from model.evaluation.holdout import PUBLISHED, TopK
from model.metrics import expected_calibration_error

MIN_PROBABILITY = 1e-6  # a probability is clipped to this far from 0 and 1 before its logit is taken
MAX_LOG_TEMPERATURE = 3.0


class Calibrator(Protocol):
    """Turns scores into probabilities."""

    def apply(self, score_N: Floats) -> Floats:
        """Return a probability for each score, in the shape of the scores."""

    def as_json(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Temperature:
    """Divides the log-odds of a probability. Source: Guo, Pleiss, Sun and Weinberger 2017."""

    temperature: float

    def apply(self, score_N: Floats) -> Floats:
        return np.asarray(expit(logit(np.clip(score_N, MIN_PROBABILITY, 1 - MIN_PROBABILITY)) / self.temperature))

    def as_json(self) -> Mapping[str, Any]:
        return {"method": "temperature", "temperature": self.temperature}


def fit_temperature(score_N: Floats, is_true_N: Bools) -> Calibrator:
    """Return the temperature of least log loss. The scores must be probabilities."""

    def loss(log_temperature: float) -> float:
        probability_N = Temperature(float(np.exp(log_temperature))).apply(score_N)
        return float(log_loss(is_true_N, probability_N, labels=[False, True]))

    found = minimize_scalar(loss, bounds=(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE), method="bounded")
    return Temperature(float(np.exp(found.x)))


def fit_calibrator(validation: TopK, predicts_probabilities: bool) -> Calibrator:
    """Fit to the predictions of a validation cutoff, by the method with the smaller held-out calibration error.

    Each half of the users is held out once; the error is over the ten top tags of a user. A score that is no
    probability is calibrated by isotonic regression.
    """
    if not predicts_probabilities:
        return _fitted(fit_isotonic, validation, np.ones(validation.test_set.users, dtype=bool))
    is_second_U = stable_hash(validation.test_set.past.user_id_U) % 2 == 1
    all_U = np.ones(len(is_second_U), dtype=bool)

    def held_out_error(fit: Callable[[Floats, Bools], Calibrator]) -> float:
        halves = [half_U for half_U in (is_second_U, ~is_second_U) if half_U.any() and not half_U.all()]
        return sum(
            expected_calibration_error(
                _fitted(fit, validation, ~half_U).apply(validation.scores_UL[half_U, :PUBLISHED]).ravel(),
                validation.is_answer_UL[half_U, :PUBLISHED].ravel(),
            )
            for half_U in halves
        )

    methods: tuple[Callable[[Floats, Bools], Calibrator], ...] = (fit_temperature, fit_isotonic)
    return _fitted(min(methods, key=held_out_error), validation, all_U)


def brier_score(probability_UL: Floats, top_k: TopK) -> float:
    """Return the mean squared error over all pairs of a user and a tag, 0 to 1; nan where there is none.

    A tag beyond a user's fifty top tags counts as predicted with 0, so that models are compared over the same pairs.
    Source: Brier 1950.
    """
    pairs = top_k.test_set.users * top_k.test_set.tags
    if not pairs:
        return float("nan")
    ranked = float(brier_score_loss(top_k.is_answer_UL.ravel(), probability_UL.ravel())) * probability_UL.size
    return (ranked + top_k.unlisted_answers) / pairs


def _fitted(fit: Callable[[Floats, Bools], Calibrator], validation: TopK, is_seen_U: Bools) -> Calibrator:
    return fit(validation.scores_UL[is_seen_U].ravel(), validation.is_answer_UL[is_seen_U].ravel())
