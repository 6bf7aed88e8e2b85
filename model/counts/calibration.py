"""Bends stated probabilities to observed ones. Shape letter: N predictions."""

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from model.arrays import Bools, Floats

BINS = 50


@dataclass(frozen=True)
class Calibration:
    """Straight lines between knots, from (0, 0) to (1, 1), rising everywhere, so that no order is lost to ties."""

    stated: tuple[float, ...]
    observed: tuple[float, ...]

    def apply(self, probability_N: Floats) -> Floats:
        return np.interp(probability_N, self.stated, self.observed)


AS_STATED = Calibration((0.0, 1.0), (0.0, 1.0))


def fit_calibration(probability_N: Floats, is_true_N: Bools) -> Calibration:
    """Return the isotonic regression over bins of equal mass, its steps joined at their centres.

    Source: Zadrozny and Elkan 2002; joined instead of stepped, as steps would tie tags of different strength.
    """
    order_N = np.argsort(probability_N, kind="stable")
    bins = [members for members in np.array_split(order_N, BINS) if len(members)]
    stated = np.array([probability_N[members].mean() for members in bins])
    observed = np.array([is_true_N[members].mean() for members in bins])
    mass = np.array([float(len(members)) for members in bins])
    rising = IsotonicRegression(y_min=0.0, y_max=1.0).fit(stated, observed, sample_weight=mass).predict(stated)
    knots = [(0.0, 0.0)]
    for level in np.unique(rising[(rising > 0) & (rising < 1)]):
        on_level = rising == level
        knots.append((float(np.average(stated[on_level], weights=mass[on_level])), float(level)))
    knots.append((1.0, 1.0))
    return Calibration(tuple(stated for stated, _ in knots), tuple(observed for _, observed in knots))
