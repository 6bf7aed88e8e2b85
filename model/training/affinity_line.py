"""From the log-odds of published tags to probabilities. Shape letter: N published tags of held-out users."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model.arrays import Bools, Floats
from model.counts.calibration import AS_STATED, Calibration, fit_calibration
from model.counts.logistic import LogisticFormula, fit_logistic
from model.metrics import expected_calibration_error
from model.transformer.interest_model import LOG_ODDS, UNCHANGED, Calibrations

Way = tuple[LogisticFormula, Calibration]


@dataclass(frozen=True, eq=False)
class PublishedTags:
    """What was stated of them and what came."""

    log_odds_N: Floats
    is_touched_N: Bools
    is_second_N: Bools  # of the second half of the users, by hash

    def of(self, is_kept_N: Bools) -> "PublishedTags":
        return PublishedTags(self.log_odds_N[is_kept_N], self.is_touched_N[is_kept_N], self.is_second_N[is_kept_N])


def fit_affinity(published: PublishedTags) -> tuple[Way, Mapping[str, float | None]]:
    """Return what errs least: what was stated, Platt's line, or that bent by an isotonic regression; and each error.

    Each half of the users judges what was fitted to the other, by calibration error; None where one half is all.
    Sources: Platt 1999; Zadrozny and Elkan 2002.
    """
    ways = {"as_stated": _as_stated, "line": _only_line, "bent": _bent_line}
    halves = [is_half_N for is_half_N in (published.is_second_N, ~published.is_second_N) if is_half_N.any()]
    if len(halves) < 2:
        return _only_line(published), dict.fromkeys(ways)
    ece = {
        name: float(np.mean([_ece(way(published.of(~half)), published.of(half)) for half in halves]))
        for name, way in ways.items()
    }
    return ways[min(ece, key=ece.__getitem__)](published), ece


def rising_line(log_odds_N: Floats, is_true_N: Bools) -> LogisticFormula:
    """Return the rising line of least log loss; the log-odds as they are where none can be told."""
    if not is_true_N.any() or is_true_N.all():
        return UNCHANGED
    fitted = fit_logistic((LOG_ODDS,), log_odds_N[:, None], is_true_N)
    return fitted if fitted.coefficients[LOG_ODDS] > 0 else UNCHANGED


def _as_stated(published: PublishedTags) -> Way:
    return UNCHANGED, AS_STATED


def _only_line(published: PublishedTags) -> Way:
    return rising_line(published.log_odds_N, published.is_touched_N), AS_STATED


def _bent_line(published: PublishedTags) -> Way:
    line = rising_line(published.log_odds_N, published.is_touched_N)
    return line, fit_calibration(line.probability_N(published.log_odds_N[:, None]), published.is_touched_N)


def _ece(way: Way, asked: PublishedTags) -> float:
    probability_N = Calibrations(*way, returning=None).affinity_N(asked.log_odds_N)
    return expected_calibration_error(probability_N, asked.is_touched_N)
