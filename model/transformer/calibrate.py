"""From the log-odds of published tags to probabilities. Shape letter: N published tags of held-out users.

Bends what a Transformer states to what happened, on users whose week it has not learnt from.

Shape letters: U users asked, V tags of the vocabulary, N published pairs.
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
from model.transformer.predict import NO_TAG, AsOfPredictor, strongest_UI, user_batches
from model.transformer.stacked_features import MIN_PROBABILITY, StackedFeatures

AffinityCalibration = tuple[LogisticFormula, Calibration]


@dataclass(frozen=True, eq=False)
class PublishedTags:
    """What was stated of them and what came."""

    log_odds_N: Floats
    is_touched_N: Bools
    user_N: Ints
    is_second_N: Bools  # of the second half of the users, by hash

    def of(self, is_kept_N: Bools) -> "PublishedTags":
        return PublishedTags(*(getattr(self, field.name)[is_kept_N] for field in fields(self)))


def fit_affinity_calibration(published: PublishedTags) -> tuple[AffinityCalibration, Mapping[str, float | None]]:
    """Return the simplest way that no less simple one certainly betters, and the calibration error of each way.

    From what was stated by Platt's line to that line bent by an isotonic regression. Each half of the users judges what
    was fitted to the other, by log loss, users resampled in pairs: some hundred users differ by chance from all others,
    and a line through them would pass that on. Where one half is all, what was stated stays; the errors are None then.
    Sources: Platt 1999; Zadrozny and Elkan 2002.
    """
    if published.is_second_N.all() or not published.is_second_N.any():
        return _predicted(published), dict.fromkeys(METHODS)
    told = {name: _cross_fitted_N(way, published) for name, way in METHODS.items()}
    taken = PREDICTED
    for name in METHODS:
        gain = paired_difference(_log_loss_U(told[taken], published), _log_loss_U(told[name], published))
        if gain.low > 0:
            taken = name
    errors = {name: _error(predicted_N, published) for name, predicted_N in told.items()}
    return METHODS[taken](published), errors


def fit_rising_line(log_odds_N: Floats, is_true_N: Bools) -> LogisticFormula:
    """Return the rising line of least log loss; the log-odds as they are where none can be told."""
    if not is_true_N.any() or is_true_N.all():
        return IDENTITY_LINE
    fitted = fit_logistic((LOG_ODDS,), log_odds_N[:, None], is_true_N)
    return fitted if fitted.coefficients[LOG_ODDS] > 0 else IDENTITY_LINE


def _predicted(published: PublishedTags) -> AffinityCalibration:
    return IDENTITY_LINE, IDENTITY


def _platt(published: PublishedTags) -> AffinityCalibration:
    return fit_rising_line(published.log_odds_N, published.is_touched_N), IDENTITY


def _platt_and_isotonic(published: PublishedTags) -> AffinityCalibration:
    line = fit_rising_line(published.log_odds_N, published.is_touched_N)
    return line, fit_calibration(line.probability_N(published.log_odds_N[:, None]), published.is_touched_N)


PREDICTED = "as_stated"
METHODS: Mapping[str, Callable[[PublishedTags], AffinityCalibration]] = {
    PREDICTED: _predicted, "line": _platt, "bent": _platt_and_isotonic,
}  # fmt: skip


def _cross_fitted_N(way: Callable[[PublishedTags], AffinityCalibration], published: PublishedTags) -> Floats:
    predicted_N = np.empty(len(published.log_odds_N))
    for is_asked_N in (published.is_second_N, ~published.is_second_N):
        fitted = Calibrations(*way(published.of(~is_asked_N)), returning=None)
        predicted_N[is_asked_N] = fitted.affinity_N(published.log_odds_N[is_asked_N])
    return predicted_N


def _log_loss_U(predicted_N: Floats, published: PublishedTags) -> Floats:
    """Return the sum over the published tags of each user."""
    sure_N = np.clip(np.where(published.is_touched_N, predicted_N, 1 - predicted_N), MIN_PROBABILITY, None)
    users, user_N = np.unique(published.user_N, return_inverse=True)
    return sum_by_group(-np.log(sure_N), user_N, len(users))


def _error(predicted_N: Floats, published: PublishedTags) -> float:
    """Return the calibration error, the mean of both halves."""
    halves = (published.is_second_N, ~published.is_second_N)
    return float(
        np.mean([expected_calibration_error(predicted_N[half], published.is_touched_N[half]) for half in halves])
    )


ONE_HELD_OUT_OF = 5  # users
MIN_PER_CLASS = 20  # who came back, and who did not; of fewer no AUC means much


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A week: the users learnt from, and those that were held out."""

    taught: LabeledWindow
    asked: LabeledWindow
    paths: StackedFeatures  # as of the cut of the week


def calibrate(model: InterestModel, held_out: HeldOut) -> tuple[Calibrations, Mapping[str, Any]]:
    """Return what bends the affinities, and the return where it is told by the networks; how that went, too.

    Who comes back is foretold by the networks if they rank the held-out users better (AUC) than counts-1 learnt from
    the others does, else, and where too few came back or stayed away to tell, by counts-1.
    """
    asked, counts = held_out.asked, fit_parameters(held_out.taught)
    popularity = fit_popularity(asked.past, asked.cutoff)
    anchored = AsOfPredictor(model, held_out.paths, Counts1(asked.cutoff, counts, popularity), asked.cutoff)
    published, return_log_odds_U = _answers(anchored, asked)
    (affinity, bent), held_out_ece = fit_affinity_calibration(published)
    auc = {
        "networks": _auc(asked.has_returned_U, return_log_odds_U),
        "counts-1": _auc(asked.has_returned_U, _return_by_counts_U(asked, counts)),
    }
    is_by_networks = None not in auc.values() and auc["networks"] > auc["counts-1"]  # type: ignore[operator]
    returning = fit_rising_line(return_log_odds_U, asked.has_returned_U) if is_by_networks else None
    report = {
        "held_out_users": asked.past.users,
        "ece": held_out_ece,
        "is_lined": affinity != IDENTITY_LINE,
        "is_isotonic": bent != IDENTITY,
        "return_auc": auc,
        "return_by": "networks" if is_by_networks else "counts-1",
    }
    return Calibrations(affinity, bent, returning), report


def _answers(anchored: AsOfPredictor, asked: LabeledWindow) -> tuple[PublishedTags, Floats]:
    """Return log-odds and truth of each user's strongest tags, and the log-odds that each user comes back."""
    codes_V = np.searchsorted(asked.past.tag_T, anchored.model.vocabulary.tags)
    codes_V = np.minimum(codes_V, len(asked.past.tag_T) - 1)
    is_askable_V = np.asarray(asked.past.tag_T[codes_V] == anchored.model.vocabulary.tags, dtype=bool)
    return_log_odds_U = np.zeros(asked.past.users)
    is_second_U = stable_hash(asked.past.user_id_U) // ONE_HELD_OUT_OF % 2 == 1
    told = [PublishedTags(np.empty(0), np.empty(0, bool), np.empty(0, int), np.empty(0, bool))]
    for user_B, some in user_batches(asked.past):
        reading = anchored.read(some)
        log_odds_BV = reading.log_odds_WV()
        place_BI = strongest_UI(log_odds_BV)
        row_N, rank_N = np.nonzero(place_BI != NO_TAG)
        place_N = place_BI[row_N, rank_N]
        key_N = user_B[row_N] * asked.touched.tags + codes_V[place_N]
        is_touched_N = is_askable_V[place_N] & np.isin(key_N, asked.touched.key_P)
        told.append(PublishedTags(log_odds_BV[row_N, place_N], is_touched_N, user_B[row_N], is_second_U[user_B[row_N]]))
        return_log_odds_U[user_B] = reading.return_log_odds_W()
    together = (np.concatenate([getattr(one, field.name) for one in told]) for field in fields(PublishedTags))
    return PublishedTags(*together), return_log_odds_U


def _return_by_counts_U(asked: LabeledWindow, counts: Counts1Parameters) -> Floats:
    return return_probability_U(asked.past, asked.cutoff, counts.half_life_days, counts.returning)


def _auc(is_true_N: Bools, score_N: Floats) -> float | None:
    """Return the area under the ROC curve; None where too few are of one class."""
    if min(is_true_N.sum(), (~is_true_N).sum()) < MIN_PER_CLASS:
        return None
    return float(roc_auc_score(is_true_N, score_N))
