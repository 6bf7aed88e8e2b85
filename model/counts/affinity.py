"""The formula of affinity: logistic regression where it ranks better than decayed counts, else decayed counts.

Shape letters: U users, P pairs of user and tag, F features.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from model.calibration import LogisticFormula, fit_calibration, fit_logistic
from model.counts.features import AFFINITY_FEATURES
from model.data.arrays import Bools, Floats, Ints, top
from model.data.labels import LabeledWindow
from model.data.pairs import Pairs
from model.data.scores import INTERESTS_PER_USER
from model.data.users import stable_hash
from model.metrics import RankedHits, expected_calibration_error, nan_mean

MIN_USERS = 50  # fewer users are too few to fit to
ONE_HELD_OUT_OF = 5
MAX_SHIFT = 30.0  # of log odds
OF_USER = ("log_activity", "days_since_last_event")  # of AFFINITY_FEATURES: alike for all tags of a user

# The ranking of decayed counts: the user's own tags by their counts, then all others by popularity. For each share, an
# own tag without any count left has higher log odds (-1) than another one of all users (-1.5).
OWN_FIRST = LogisticFormula(
    -1.5,
    {
        "log_own_count": 1.0,
        "log_own_days": 0.0,
        "is_own": 0.5,
        "log_popularity_of_own": 0.0,
        "log_popularity_of_others": 0.5,
        "log_activity": 0.0,
        "days_since_last_event": -0.05,
    },
)


def answering_users(window: LabeledWindow) -> int:
    """Count the users who touched a tag in the window."""
    return int((window.touched_tags_U > 0).sum())


# Fits a formula to pairs, their features and whether they were touched.
Fit = Callable[[Pairs, Floats, Bools], LogisticFormula]


def fit_all(pairs: Pairs, features_PF: Floats, is_touched_P: Bools) -> LogisticFormula:
    """Return a formula of all features."""
    return fit_logistic(AFFINITY_FEATURES, features_PF, is_touched_P)


def fit_own_first(pairs: Pairs, features_PF: Floats, is_touched_P: Bools) -> LogisticFormula:
    """Return a formula that ranks as OWN_FIRST does, with its scale and the effect of the user's activity fitted."""
    of_user_F = np.isin(AFFINITY_FEATURES, OF_USER)
    scale = "own_first"
    log_odds_P = logit(OWN_FIRST.probability_N(features_PF))
    columns = np.column_stack([log_odds_P, features_PF[:, of_user_F]])
    fitted = fit_logistic((scale, *OF_USER), columns, is_touched_P)
    if fitted.coefficients[scale] <= 0:
        return fit_level(pairs, features_PF, is_touched_P)
    coefficients = {
        name: fitted.coefficients[scale] * coefficient + fitted.coefficients.get(name, 0.0)
        for name, coefficient in OWN_FIRST.coefficients.items()
    }
    return LogisticFormula(fitted.intercept + fitted.coefficients[scale] * OWN_FIRST.intercept, coefficients)


def fit_level(pairs: Pairs, features_PF: Floats, is_touched_P: Bools) -> LogisticFormula:
    """Return OWN_FIRST with the intercept at which the published probabilities add up to the touched tags."""
    log_odds_P = logit(OWN_FIRST.probability_N(features_PF))
    published = published_pairs(pairs, log_odds_P)
    touched = float(np.clip(is_touched_P[published].sum(), 0.5, len(published) - 0.5))

    def excess(shift: float) -> float:
        return float(expit(log_odds_P[published] + shift).sum()) - touched

    return replace(OWN_FIRST, intercept=OWN_FIRST.intercept + float(brentq(excess, -MAX_SHIFT, MAX_SHIFT)))


def best_fit(window: LabeledWindow, features_PF: Floats) -> Fit:
    """Return the fit whose ranking of users held out from it has the higher nDCG@10."""
    if answering_users(window) < MIN_USERS:
        return fit_level
    fold_P = (stable_hash(window.past.user_id_U) % ONE_HELD_OUT_OF)[window.pairs.user_P]
    held_out_P = np.zeros(len(fold_P))
    for fold in range(ONE_HELD_OUT_OF):
        is_seen_P = fold_P != fold
        if is_one_class(window.is_touched_P[is_seen_P]):
            return fit_level
        formula = fit_logistic(AFFINITY_FEATURES, features_PF[is_seen_P], window.is_touched_P[is_seen_P])
        held_out_P[~is_seen_P] = formula.probability_N(features_PF[~is_seen_P])
    is_better = ndcg_of_pairs(window, held_out_P) >= ndcg_of_pairs(window, OWN_FIRST.probability_N(features_PF))
    return fit_all if is_better else fit_own_first


def held_out_errors(window: LabeledWindow, features_PF: Floats, fit: Fit) -> tuple[float | None, float | None]:
    """Return the calibration error on a fifth of the users, fitted to the others: predicted, then calibrated."""
    is_held_out_U = stable_hash(window.past.user_id_U) % ONE_HELD_OUT_OF == 0
    is_held_out_P = is_held_out_U[window.pairs.user_P]
    if is_one_class(window.is_touched_P[~is_held_out_P]):
        return None, None
    training_pairs = window.pairs.of_users(~is_held_out_U)
    formula = fit(training_pairs, features_PF[~is_held_out_P], window.is_touched_P[~is_held_out_P])
    probability_P = formula.probability_N(features_PF)
    published = published_pairs(window.pairs, probability_P)
    training, held_out = published[~is_held_out_P[published]], published[is_held_out_P[published]]
    if not len(training) or not len(held_out):
        return None, None
    calibration = fit_calibration(probability_P[training], window.is_touched_P[training])
    predicted, is_touched = probability_P[held_out], window.is_touched_P[held_out]
    return (
        expected_calibration_error(predicted, is_touched),
        expected_calibration_error(calibration.apply(predicted), is_touched),
    )


def published_pairs(pairs: Pairs, score_P: Floats) -> Ints:
    """Return the pairs that a profile would publish."""
    return top(INTERESTS_PER_USER, pairs.user_P, score_P, pairs.tag_P)


def ndcg_of_pairs(window: LabeledWindow, score_P: Floats) -> float:
    """Return the mean nDCG@10 over the users with a touched tag; nan where no user has one."""
    pairs = window.pairs
    ranked = RankedHits.of_pairs(pairs.user_P, score_P, pairs.tag_P, window.is_touched_P, window.touched_tags_U)
    return nan_mean(ranked.ndcg_U(10))


def is_one_class(is_true_N: Bools) -> bool:
    return bool(is_true_N.all() or not is_true_N.any())
