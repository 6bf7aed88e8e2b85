"""The calibration of a trained Transformer on held-out users, whose labels of the newest week it was not trained on.

The affinities of published tags are calibrated by the simplest method that no more complex one significantly beats. The
return is predicted by the networks if they rank users better than counts-1 does.

Shape letters: U users, B users of a batch, V tags of the vocabulary, I published interests of a user by rank, N
published pairs of user and tag.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from model.calibration import IDENTITY, Calibration, LogisticFormula, fit_calibration, fit_logistic
from model.counts.model import Counts1, Counts1Parameters, fit_parameters
from model.counts.publish import return_probability_U
from model.data.arrays import Bools, Floats, Ints, sum_by_group
from model.data.labels import LabeledWindow
from model.data.popularity import fit_popularity
from model.data.users import stable_hash
from model.metrics import expected_calibration_error, paired_difference
from model.transformer.model import IDENTITY_LINE, LOG_ODDS, Calibrations, InterestModel
from model.transformer.predict import NO_TAG, AsOfPredictor, top_tags_UI, user_batches
from model.transformer.stacked_features import MIN_PROBABILITY, StackedFeatures

ONE_HELD_OUT_OF = 5  # users
MIN_PER_CLASS = 20  # users who returned, and who did not; an AUC of fewer is too uncertain

AffinityCalibration = tuple[LogisticFormula, Calibration]


@dataclass(frozen=True, eq=False)
class PublishedTags:
    """The predictions and the outcomes of published tags."""

    log_odds_N: Floats
    is_touched_N: Bools
    user_N: Ints
    is_second_N: Bools  # of the second half of the users, by hash

    def subset(self, is_kept_N: Bools) -> "PublishedTags":
        return PublishedTags(*(getattr(self, field.name)[is_kept_N] for field in fields(self)))


def fit_affinity_calibration(published: PublishedTags) -> tuple[AffinityCalibration, Mapping[str, float | None]]:
    """Return the simplest calibration that no more complex one significantly beats, and the error of each method.

    The methods are: none, Platt scaling, and Platt scaling with isotonic regression. Each is fitted to one half of the
    users and tested on the other, by log loss with paired resampling of users. Without this test a few hundred users
    would pass on their chance deviation from all others. If one half is empty, there is no calibration and all errors
    are None. Sources: Platt 1999; Zadrozny and Elkan 2002.
    """
    if published.is_second_N.all() or not published.is_second_N.any():
        return _uncalibrated(published), dict.fromkeys(METHODS)
    predicted = {name: _cross_fitted_N(fit, published) for name, fit in METHODS.items()}
    chosen = PREDICTED
    for name in METHODS:
        gain = paired_difference(_log_loss_U(predicted[chosen], published), _log_loss_U(predicted[name], published))
        if gain.low > 0:
            chosen = name
    errors = {name: _error(predicted_N, published) for name, predicted_N in predicted.items()}
    return METHODS[chosen](published), errors


def fit_platt(log_odds_N: Floats, is_true_N: Bools) -> LogisticFormula:
    """Return the rising line through the log-odds with the least log loss; the identity if there is none.

    Source: Platt 1999.
    """
    if not is_true_N.any() or is_true_N.all():
        return IDENTITY_LINE
    fitted = fit_logistic((LOG_ODDS,), log_odds_N[:, None], is_true_N)
    return fitted if fitted.coefficients[LOG_ODDS] > 0 else IDENTITY_LINE


def _uncalibrated(published: PublishedTags) -> AffinityCalibration:
    return IDENTITY_LINE, IDENTITY


def _platt(published: PublishedTags) -> AffinityCalibration:
    return fit_platt(published.log_odds_N, published.is_touched_N), IDENTITY


def _platt_and_isotonic(published: PublishedTags) -> AffinityCalibration:
    line = fit_platt(published.log_odds_N, published.is_touched_N)
    return line, fit_calibration(line.probability_N(published.log_odds_N[:, None]), published.is_touched_N)


PREDICTED = "predicted"
METHODS: Mapping[str, Callable[[PublishedTags], AffinityCalibration]] = {
    PREDICTED: _uncalibrated, "platt": _platt, "isotonic": _platt_and_isotonic,
}  # fmt: skip


def _cross_fitted_N(fit: Callable[[PublishedTags], AffinityCalibration], published: PublishedTags) -> Floats:
    predicted_N = np.empty(len(published.log_odds_N))
    for is_tested_N in (published.is_second_N, ~published.is_second_N):
        fitted = Calibrations(*fit(published.subset(~is_tested_N)), returning=None)
        predicted_N[is_tested_N] = fitted.affinity_N(published.log_odds_N[is_tested_N])
    return predicted_N


def _log_loss_U(predicted_N: Floats, published: PublishedTags) -> Floats:
    """Return the sum over the published tags of each user."""
    probability_N = np.where(published.is_touched_N, predicted_N, 1 - predicted_N)  # of the outcome
    users, user_N = np.unique(published.user_N, return_inverse=True)
    return sum_by_group(-np.log(np.clip(probability_N, MIN_PROBABILITY, None)), user_N, len(users))


def _error(predicted_N: Floats, published: PublishedTags) -> float:
    """Return the expected calibration error, the mean of both halves."""
    halves = (published.is_second_N, ~published.is_second_N)
    return float(
        np.mean([expected_calibration_error(predicted_N[half], published.is_touched_N[half]) for half in halves])
    )


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The newest week of training, split by users."""

    train: LabeledWindow
    test: LabeledWindow
    features: StackedFeatures  # at the cutoff of the week


def calibrate(model: InterestModel, held_out: HeldOut) -> tuple[Calibrations, Mapping[str, Any]]:
    """Return the calibrations fitted to the held-out users, and a report.

    The return is predicted by the networks if they rank the held-out users better (AUC) than counts-1 fitted to the
    other users, else by counts-1; also if too few users returned, or did not, to compare.
    """
    test, counts = held_out.test, fit_parameters(held_out.train)
    popularity = fit_popularity(test.past, test.cutoff)
    predictor = AsOfPredictor(model, held_out.features, Counts1(test.cutoff, counts, popularity), test.cutoff)
    published, return_log_odds_U = _predict(predictor, test)
    (affinity, isotonic), errors = fit_affinity_calibration(published)
    auc = {
        "networks": _auc(test.has_returned_U, return_log_odds_U),
        "counts-1": _auc(test.has_returned_U, _return_by_counts_U(test, counts)),
    }
    is_by_networks = None not in auc.values() and auc["networks"] > auc["counts-1"]  # type: ignore[operator]
    returning = fit_platt(return_log_odds_U, test.has_returned_U) if is_by_networks else None
    report = {
        "held_out_users": test.past.users,
        "ece": errors,
        "has_platt": affinity != IDENTITY_LINE,
        "has_isotonic": isotonic != IDENTITY,
        "return_auc": auc,
        "return_by": "networks" if is_by_networks else "counts-1",
    }
    return Calibrations(affinity, isotonic, returning), report


def _predict(predictor: AsOfPredictor, test: LabeledWindow) -> tuple[PublishedTags, Floats]:
    """Return the predictions and outcomes of each user's top tags, and the log-odds that each user returns."""
    index_V = np.searchsorted(test.past.tag_T, predictor.model.vocabulary.tags)
    index_V = np.minimum(index_V, len(test.past.tag_T) - 1)
    is_known_V = np.asarray(test.past.tag_T[index_V] == predictor.model.vocabulary.tags, dtype=bool)
    return_log_odds_U = np.zeros(test.past.users)
    is_second_U = stable_hash(test.past.user_id_U) // ONE_HELD_OUT_OF % 2 == 1
    parts = [PublishedTags(np.empty(0), np.empty(0, bool), np.empty(0, int), np.empty(0, bool))]
    for user_B, users in user_batches(test.past):
        forward_pass = predictor.forward(users)
        log_odds_BV = forward_pass.log_odds_WV()
        tag_BI = top_tags_UI(log_odds_BV)
        row_N, rank_N = np.nonzero(tag_BI != NO_TAG)
        tag_N, user_N = tag_BI[row_N, rank_N], user_B[row_N]
        is_touched_N = is_known_V[tag_N] & np.isin(user_N * test.touched.tags + index_V[tag_N], test.touched.key_P)
        parts.append(PublishedTags(log_odds_BV[row_N, tag_N], is_touched_N, user_N, is_second_U[user_N]))
        return_log_odds_U[user_B] = forward_pass.return_log_odds_W()
    columns = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(PublishedTags))
    return PublishedTags(*columns), return_log_odds_U


def _return_by_counts_U(test: LabeledWindow, counts: Counts1Parameters) -> Floats:
    return return_probability_U(test.past, test.cutoff, counts.half_life_days, counts.returning)


def _auc(is_true_N: Bools, score_N: Floats) -> float | None:
    """Return the area under the ROC curve; None if a class has fewer than MIN_PER_CLASS users."""
    if min(is_true_N.sum(), (~is_true_N).sum()) < MIN_PER_CLASS:
        return None
    return float(roc_auc_score(is_true_N, score_N))
