"""From the log-odds of published tags to probabilities. Shape letter: N published tags of held-out users."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np

from model.arrays import Bools, Floats, Ints, summed
from model.bootstrap import paired_difference
from model.counts.calibration import AS_STATED, Calibration, fit_calibration
from model.counts.logistic import LogisticFormula, fit_logistic
from model.metrics import expected_calibration_error
from model.transformer.interest_model import LOG_ODDS, UNCHANGED, Calibrations
from model.transformer.paths import LEAST

Way = tuple[LogisticFormula, Calibration]


@dataclass(frozen=True, eq=False)
class PublishedTags:
    """What was stated of them and what came."""

    log_odds_N: Floats
    is_touched_N: Bools
    user_N: Ints
    is_second_N: Bools  # of the second half of the users, by hash

    def of(self, is_kept_N: Bools) -> "PublishedTags":
        return PublishedTags(*(getattr(self, field.name)[is_kept_N] for field in fields(self)))


def fit_affinity(published: PublishedTags) -> tuple[Way, Mapping[str, float | None]]:
    """Return the simplest way that no less simple one certainly betters, and the calibration error of each way.

    From what was stated by Platt's line to that line bent by an isotonic regression. Each half of the users judges what
    was fitted to the other, by log loss, users resampled in pairs: some hundred users differ by chance from all others,
    and a line through them would pass that on. Where one half is all, what was stated stays; the errors are None then.
    Sources: Platt 1999; Zadrozny and Elkan 2002.
    """
    if published.is_second_N.all() or not published.is_second_N.any():
        return _as_stated(published), dict.fromkeys(WAYS)
    told = {name: _told_by_other_half_N(way, published) for name, way in WAYS.items()}
    taken = AS_STATED_WAY
    for name in WAYS:
        gain = paired_difference(_log_loss_U(told[taken], published), _log_loss_U(told[name], published))
        if gain.low > 0:
            taken = name
    errors = {name: _error(told_N, published) for name, told_N in told.items()}
    return WAYS[taken](published), errors


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


AS_STATED_WAY = "as_stated"
WAYS: Mapping[str, Callable[[PublishedTags], Way]] = {
    AS_STATED_WAY: _as_stated, "line": _only_line, "bent": _bent_line,
}  # fmt: skip


def _told_by_other_half_N(way: Callable[[PublishedTags], Way], published: PublishedTags) -> Floats:
    told_N = np.empty(len(published.log_odds_N))
    for is_asked_N in (published.is_second_N, ~published.is_second_N):
        fitted = Calibrations(*way(published.of(~is_asked_N)), returning=None)
        told_N[is_asked_N] = fitted.affinity_N(published.log_odds_N[is_asked_N])
    return told_N


def _log_loss_U(told_N: Floats, published: PublishedTags) -> Floats:
    """Return the sum over the published tags of each user."""
    sure_N = np.clip(np.where(published.is_touched_N, told_N, 1 - told_N), LEAST, None)
    users, user_N = np.unique(published.user_N, return_inverse=True)
    return summed(-np.log(sure_N), user_N, len(users))


def _error(told_N: Floats, published: PublishedTags) -> float:
    """Return the calibration error, the mean of both halves."""
    halves = (published.is_second_N, ~published.is_second_N)
    return float(np.mean([expected_calibration_error(told_N[half], published.is_touched_N[half]) for half in halves]))
