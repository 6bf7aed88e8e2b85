"""counts-1: affinities from decayed own counts and popularity, by a fitted formula.

A fit picks the half-life that ranks best, fits a logistic formula for affinity and one for the return, and calibrates
the affinity where that helps. Where the formula ranks no better than decayed counts, or where too few users came back
to know, own tags come first by their counts and popular tags fill up. `Counts1` is the model of one day: fitted
parameters and the popularity of that day.

Shape letters: U users, P pairs of user and tag, T tags, F features, N predictions.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from model.calibration import IDENTITY, Calibration, LogisticFormula, fit_calibration, fit_logistic
from model.counts.affinity import (
    MIN_USERS,
    OWN_FIRST,
    answering_users,
    best_fit,
    held_out_errors,
    is_one_class,
    ndcg_of_pairs,
    published_pairs,
)
from model.counts.features import (
    RETURN_FEATURES,
    affinity_features_PF,
    count,
    count_days_P,
    return_features_UF,
)
from model.counts.publish import AffinityOfPairs, scores_by
from model.data.arrays import Floats
from model.data.days import HORIZON_DAYS, MICROS_PER_DAY, end_of_day
from model.data.history import History
from model.data.labels import LabeledWindow, label_window
from model.data.pairs import OwnTags, Pairs
from model.data.popularity import Popularity, fit_popularity
from model.data.scores import Scores

VERSION = "counts-1"
# The half-life in horizons where too few users came back to tune it. Such logs are sparse: on wikispeedia, whose 133
# users came back in 17 weeks, own counts rank best with 28 days for 7: nDCG@10 is .005 above that with 14.
UNTUNED_HORIZONS = 4.0
HOUR = 1 / 24
# A window of a third of the log leaves twice as much time before it, so that users and counts are like those of today.
WINDOWS_OF_LOG = 3
FIRST_EVENTS = (
    0.01  # share of the events that come before the log counts as begun: single old ones do not make it older
)
HALF_LIVES_DAYS = (1 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 1.0, 2.0, 4.0, 7.0, 14.0, 28.0)


@dataclass(frozen=True)
class FitReport:
    """The size of the training and the quality of the fit; a figure is None where it could not be measured."""

    users: int
    ndcg_at_10: float | None = None  # of the affinities, on the users of the training
    untuned_ndcg_at_10: float | None = None  # of the untuned parameters on the same users
    held_out_ece: float | None = None  # of the formula, over the ten highest affinities of held-out users
    held_out_ece_calibrated: float | None = None  # of the same, after isotonic regression


@dataclass(frozen=True)
class Counts1Parameters:
    """The fitted numbers; with the popularity of a day they are the model of that day."""

    half_life_days: float
    affinity: LogisticFormula
    calibration: Calibration
    returning: LogisticFormula
    report: FitReport

    def affinity_P(self, history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int) -> Floats:
        """Return a probability for each of `pairs`; `own` is that of `history`, all of it before `moment`."""
        counts = count(history, own, pairs, moment, self.half_life_days)
        days_P = count_days_P(history, own, pairs, moment)
        return self.calibration.apply(self.affinity.probability_N(affinity_features_PF(counts, days_P, pairs, share_T)))

    def over(self, windows: float) -> "Counts1Parameters":
        """Return the same for a horizon of more than one of the windows that they were fitted to."""
        affinity, returning = (replace(formula, windows=windows) for formula in (self.affinity, self.returning))
        return replace(self, affinity=affinity, returning=returning, calibration=IDENTITY)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def untuned(horizon_days: float) -> Counts1Parameters:
    """Return the parameters for a log that is too young to fit to."""
    return Counts1Parameters(
        half_life_days=UNTUNED_HORIZONS * horizon_days,
        affinity=OWN_FIRST,
        calibration=IDENTITY,
        returning=LogisticFormula(
            0.0,
            {"log_activity": 0.5, "days_since_last_event": -0.1, "log_session_count": 0.3, "log_event_count": 0.0},
        ),
        report=FitReport(users=0),
    )


def untuned_for(window: LabeledWindow) -> Counts1Parameters:
    """Return the untuned parameters for the horizon of a window."""
    return untuned((window.end - window.cutoff) / MICROS_PER_DAY)


def best_half_life(window: LabeledWindow, fallback: Counts1Parameters | None = None) -> float:
    """Return the half-life whose own counts, filled up by popularity, have the highest nDCG@10.

    The shortest of equals. That of the fallback, by default the untuned one, where fewer than MIN_USERS users touched a
    tag.
    """
    if answering_users(window) < MIN_USERS:
        return (fallback or untuned_for(window)).half_life_days
    return max(HALF_LIVES_DAYS, key=lambda days: ndcg_of_pairs(window, own_first_P(window, days)))


def own_first_P(window: LabeledWindow, half_life_days: float) -> Floats:
    """Return a score for each pair: own tags by their decayed counts, then all others by popularity."""
    counts = count(window.past, window.own, window.pairs, window.cutoff, half_life_days)
    below_own = 2.0  # a share is about 1 at most, so every own tag ranks above every other one
    return np.where(counts.is_own_P, counts.count_P, window.share_T[window.pairs.tag_P] - below_own)


def fit_parameters(window: LabeledWindow, fallback: Counts1Parameters | None = None) -> Counts1Parameters:
    """Return the parameters fitted to a window; the fallback where it has too few users or labels of one class only.

    fallback: by default the untuned parameters for the window.

    The fitted formula may rank popular tags above own ones. It is used if it ranks held-out users at least as well as
    OWN_FIRST does. Where fewer than MIN_USERS users touched a tag this cannot be known, and OWN_FIRST is used.
    """
    fallback = fallback or untuned_for(window)
    if window.past.users < MIN_USERS or is_one_class(window.is_touched_P):
        return fallback
    half_life_days = best_half_life(window, fallback)
    counts = count(window.past, window.own, window.pairs, window.cutoff, half_life_days)
    days_P = count_days_P(window.past, window.own, window.pairs, window.cutoff)
    features_PF = affinity_features_PF(counts, days_P, window.pairs, window.share_T)
    fit = best_fit(window, features_PF)
    formula = fit(window.pairs, features_PF, window.is_touched_P)
    probability_P = formula.probability_N(features_PF)
    predicted_ece, calibrated_ece = held_out_errors(window, features_PF, fit)
    is_isotonic = predicted_ece is not None and calibrated_ece is not None and calibrated_ece < predicted_ece
    published = published_pairs(window.pairs, probability_P)
    returning = fallback.returning
    if not is_one_class(window.has_returned_U):
        returning = fit_logistic(RETURN_FEATURES, return_features_UF(window.past, counts), window.has_returned_U)
    return Counts1Parameters(
        half_life_days=half_life_days,
        affinity=formula,
        calibration=fit_calibration(probability_P[published], window.is_touched_P[published])
        if is_isotonic
        else IDENTITY,
        returning=returning,
        report=FitReport(
            users=window.past.users,
            ndcg_at_10=ndcg_of_pairs(window, probability_P),
            untuned_ndcg_at_10=ndcg_of_pairs(window, affinities_at_cutoff(window, fallback)),
            held_out_ece=predicted_ece,
            held_out_ece_calibrated=calibrated_ece,
        ),
    )


def affinities_at_cutoff(window: LabeledWindow, parameters: Counts1Parameters) -> Floats:
    """Return the affinity of every pair at the cutoff, by these parameters."""
    return parameters.affinity_P(window.past, window.own, window.pairs, window.share_T, window.cutoff)


@dataclass(frozen=True, eq=False)
class Counts1:
    """A Scorer. It ignores events at `end` or later."""

    end: int  # moment at which the as-of day is over
    fitted: Counts1Parameters
    popularity: Popularity
    horizon_days: int = HORIZON_DAYS

    @property
    def version(self) -> str:
        return VERSION

    def parameters(self) -> Mapping[str, Any]:
        return self.fitted.as_json()

    def score(self, history: History) -> Scores:
        """Return the scores of every user; a user without events gets popular tags."""
        return self.score_by(self.fitted.affinity_P, history)

    def score_by(self, affinity_of: AffinityOfPairs, history: History) -> Scores:
        """Return the scores by the affinities of some model; evidence, items and the return are those of counts-1."""
        half_life_days, returning = self.fitted.half_life_days, self.fitted.returning
        return scores_by(affinity_of, history, self.end, self.popularity, half_life_days, returning, self.horizon_days)


def fit_counts_to_history(history: History, as_of: date, horizon_days: int = HORIZON_DAYS) -> Counts1:
    """Fit to the horizon that ends with `as_of` and all before it; later events are ignored.

    A young log is fitted to a shorter window; see `window_days`. Its probabilities are those of as many such windows as
    a horizon has.
    """
    end = end_of_day(as_of)
    days = window_days(history, end, horizon_days)
    fallback = untuned(horizon_days)
    parameters = fit_parameters(label_window(history, end - days * MICROS_PER_DAY, end), fallback)
    if days < horizon_days and parameters != fallback:
        parameters = parameters.over(horizon_days / days)
    return Counts1(end, parameters, fit_popularity(history.before(end), end), horizon_days)


def window_days(history: History, end: int, horizon_days: int) -> int:
    """Return the days of the window to fit to: the horizon, in a log of less than two a third of the days before `end`.

    A window of a horizon would leave a few days before it, whose users are the most active ones and whose counts are
    small: on the demo's first 9 days, affinities of .25 would be .38. A log of a horizon or less is not fitted to.
    """
    at_E = history.at_E[history.at_E < end]
    if not len(at_E):
        return horizon_days
    days = (end - np.quantile(at_E, FIRST_EVENTS)) / MICROS_PER_DAY
    return max(1, round(days / WINDOWS_OF_LOG)) if horizon_days < days < 2 * horizon_days else horizon_days
