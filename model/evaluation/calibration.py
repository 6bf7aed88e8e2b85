"""Makes strengths true probabilities: fitted on the validation cut, applied to the test cut.

Both ways rise with the strength, so that no ranking changes. Shape letters: U users, L listed tags, N strengths.

The points of a reliability plot. Shape letter: N predictions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

from model.data.arrays import Bools, Floats
from model.data.users import stable_hash
from model.evaluation.holdout import PUBLISHED, TopK
from model.metrics import expected_calibration_error

LEAST = 1e-6  # no probability is told nearer to 0 or 1 before its logit is taken
MOST_LOG_TEMPERATURE = 3.0


class Calibrator(Protocol):
    """From strengths to probabilities."""

    def apply(self, score_N: Floats) -> Floats:
        """Return a probability for each strength, in its shape."""

    def as_json(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Temperature:
    """Divides the log-odds of a probability. Source: Guo, Pleiss, Sun and Weinberger 2017."""

    temperature: float

    def apply(self, score_N: Floats) -> Floats:
        return np.asarray(expit(logit(np.clip(score_N, LEAST, 1 - LEAST)) / self.temperature))

    def as_json(self) -> Mapping[str, Any]:
        return {"method": "temperature", "temperature": self.temperature}


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between knots of an isotonic regression, level beyond. Source: Zadrozny and Elkan 2002."""

    stated: tuple[float, ...]
    observed: tuple[float, ...]

    def apply(self, score_N: Floats) -> Floats:
        return np.interp(score_N, self.stated, self.observed)

    def as_json(self) -> Mapping[str, Any]:
        return {"method": "isotonic", "knots": len(self.stated)}


def fit_temperature(score_N: Floats, is_true_N: Bools) -> Calibrator:
    """Return the temperature of the least log loss. Strengths are probabilities."""

    def loss(log_temperature: float) -> float:
        probability_N = Temperature(float(np.exp(log_temperature))).apply(score_N)
        return float(log_loss(is_true_N, probability_N, labels=[False, True]))

    found = minimize_scalar(loss, bounds=(-MOST_LOG_TEMPERATURE, MOST_LOG_TEMPERATURE), method="bounded")
    return Temperature(float(np.exp(found.x)))


def fit_isotonic(score_N: Floats, is_true_N: Bools) -> Calibrator:
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score_N, is_true_N)
    return Isotonic(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def fit_calibrator(validation: TopK, predicts_probabilities: bool) -> Calibrator:
    """Fit to the listed tags of a validation cut, by the way that errs less on users it was not fitted to.

    Each half of the users judges what is fitted to the other, by the error over ten tags a user. A strength that is no
    probability has no temperature.
    """
    if not predicts_probabilities:
        return _fitted(fit_isotonic, validation, np.ones(validation.test_set.users, dtype=bool))
    is_second_U = stable_hash(validation.test_set.asked.user_id_U) % 2 == 1
    everybody_U = np.ones(len(is_second_U), dtype=bool)

    def held_out_error(fit: Callable[[Floats, Bools], Calibrator]) -> float:
        halves = [half_U for half_U in (is_second_U, ~is_second_U) if half_U.any() and not half_U.all()]
        return sum(
            expected_calibration_error(
                _fitted(fit, validation, ~half_U).apply(validation.scores_UL[half_U, :PUBLISHED]).ravel(),
                validation.is_answer_UL[half_U, :PUBLISHED].ravel(),
            )
            for half_U in halves
        )

    return _fitted(min((fit_temperature, fit_isotonic), key=held_out_error), validation, everybody_U)


def calibration_error(probability_UL: Floats, is_answer_UL: Bools) -> float:
    """Return the expected calibration error over each user's ten strongest tags, in 15 bins of equal mass."""
    return expected_calibration_error(probability_UL[:, :PUBLISHED].ravel(), is_answer_UL[:, :PUBLISHED].ravel())


def brier_score(probability_UL: Floats, top_k: TopK) -> float:
    """Return the mean squared error over all pairs of a user and a tag, 0 to 1; nan where there is none.

    A tag beyond a user's fifty strongest counts as foretold with 0, so that contestants are compared over the same
    pairs. Source: Brier 1950.
    """
    pairs = top_k.test_set.users * top_k.test_set.tags
    if not pairs:
        return float("nan")
    listed = float(brier_score_loss(top_k.is_answer_UL.ravel(), probability_UL.ravel())) * probability_UL.size
    return (listed + top_k.unlisted_answers) / pairs


def _fitted(fit: Callable[[Floats, Bools], Calibrator], validation: TopK, is_seen_U: Bools) -> Calibrator:
    return fit(validation.scores_UL[is_seen_U].ravel(), validation.is_answer_UL[is_seen_U].ravel())


BINS = 15


@dataclass(frozen=True)
class Point:
    """What was foretold and what came, of one bin."""

    stated: float
    observed: float
    count: int

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)


def reliability(probability_N: Floats, is_true_N: Bools) -> Sequence[Point]:
    """Return the mean probability and the share of what came, over the bins that the calibration error is over."""
    order_N = np.argsort(probability_N, kind="stable")
    return tuple(
        Point(float(probability_N[members].mean()), float(is_true_N[members].mean()), len(members))
        for members in np.array_split(order_N, BINS)
        if len(members)
    )
