"""What an event still counts after some days. Shape letters: E events (see model/history.py)."""

import numpy as np

from model.arrays import Floats
from model.days import MICROS_PER_DAY
from model.history import History


def fading_E(history: History, moment: int, half_life_days: float) -> Floats:
    """Return 1 for an event at `moment`, halved by every half-life that lies between. No event may lie after it."""
    age_days_E = (moment - history.at_E) / MICROS_PER_DAY
    return np.exp2(-age_days_E / half_life_days)


def decayed_weight_E(history: History, moment: int, half_life_days: float) -> Floats:
    """Return the weight of each event times its fading."""
    return history.weight_E * fading_E(history, moment, half_life_days)
