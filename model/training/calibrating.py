"""Bends what a Transformer states to what happened, on users whose week it has not learnt from.

Shape letters: U users asked, V tags of the vocabulary, N published pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from model.arrays import Bools, Floats
from model.counts.calibration import AS_STATED, Calibration, fit_calibration
from model.counts.counts1 import Counts1
from model.counts.learn import learn
from model.counts.lesson import Lesson
from model.counts.logistic import LogisticFormula, fit_logistic
from model.counts.parameters import Counts1Parameters
from model.counts.popularity import popularity
from model.counts.scores import return_probability_U
from model.metrics import expected_calibration_error
from model.transformer.anchored import Anchored, pieces
from model.transformer.interest_model import LOG_ODDS, UNCHANGED, Calibrations, InterestModel
from model.transformer.paths import Paths
from model.transformer.table import NO_TAG, strongest_UI
from model.user_hash import stable_hash

ONE_HELD_OUT_OF = 5  # users of the newest week
FEWEST_OF_A_CLASS = 20  # who came back, and who did not; of fewer no AUC means much


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A week: the users learnt from, and those that were held out."""

    taught: Lesson
    asked: Lesson
    paths: Paths  # as of the cut of the week


def calibrated(model: InterestModel, held_out: HeldOut) -> tuple[Calibrations, Mapping[str, Any]]:
    """Return Platt's line through the log-odds of each user's ten strongest tags, and of the return; how it went, too.

    The line is bent by an isotonic regression if that errs less on users whom neither was fitted to. Who comes back is
    foretold by the networks if they rank the held-out users better (AUC) than counts-1 learnt from the others does,
    else, and where too few came back or stayed away to tell, by counts-1. Source: Platt 1999.
    """
    asked, counts = held_out.asked, learn(held_out.taught)
    crowd = popularity(asked.past, asked.cut)
    anchored = Anchored(model, held_out.paths, Counts1(asked.cut, counts, crowd), asked.cut)
    published, return_log_odds_U = _answers(anchored, asked)
    affinity, bent, held_out_ece = _affinity(published)
    auc = {
        "networks": _auc(asked.has_returned_U, return_log_odds_U),
        "counts-1": _auc(asked.has_returned_U, _return_by_counts_U(asked, counts)),
    }
    is_by_networks = None not in auc.values() and auc["networks"] > auc["counts-1"]  # type: ignore[operator]
    returning = _line(return_log_odds_U, asked.has_returned_U) if is_by_networks else None
    report = {
        "held_out_users": asked.past.users,
        "ece": held_out_ece,
        "is_bent": bent != AS_STATED,
        "return_auc": auc,
        "return_by": "networks" if is_by_networks else "counts-1",
    }
    return Calibrations(affinity, bent, returning), report


@dataclass(frozen=True, eq=False)
class _Published:
    log_odds_N: Floats
    is_touched_N: Bools
    is_second_N: Bools  # of the second half of the users, by hash

    def of(self, is_kept_N: Bools) -> "_Published":
        return _Published(self.log_odds_N[is_kept_N], self.is_touched_N[is_kept_N], self.is_second_N[is_kept_N])


def _affinity(published: _Published) -> tuple[LogisticFormula, Calibration, Mapping[str, float | None]]:
    """Return the line, what bends it, and how far each way errs when each half judges what the other taught."""
    ways = {"as_stated": _as_stated, "line": _only_line, "bent": _bent_line}
    halves = [is_half_N for is_half_N in (published.is_second_N, ~published.is_second_N) if is_half_N.any()]
    if len(halves) < 2:
        return *_only_line(published), dict.fromkeys(ways)
    ece = {
        name: float(np.mean([_ece(way(published.of(~half)), published.of(half)) for half in halves]))
        for name, way in ways.items()
    }
    way = _bent_line if ece["bent"] < ece["line"] else _only_line
    return *way(published), ece


def _as_stated(published: _Published) -> tuple[LogisticFormula, Calibration]:
    return UNCHANGED, AS_STATED


def _only_line(published: _Published) -> tuple[LogisticFormula, Calibration]:
    return _line(published.log_odds_N, published.is_touched_N), AS_STATED


def _bent_line(published: _Published) -> tuple[LogisticFormula, Calibration]:
    line = _line(published.log_odds_N, published.is_touched_N)
    return line, fit_calibration(line.probability_N(published.log_odds_N[:, None]), published.is_touched_N)


def _answers(anchored: Anchored, asked: Lesson) -> tuple[_Published, Floats]:
    """Return log-odds and truth of each user's strongest tags, and the log-odds that each user comes back."""
    codes_V = np.searchsorted(asked.past.tag_T, anchored.model.vocabulary.tags)
    codes_V = np.minimum(codes_V, len(asked.past.tag_T) - 1)
    is_askable_V = np.asarray(asked.past.tag_T[codes_V] == anchored.model.vocabulary.tags, dtype=bool)
    return_log_odds_U = np.zeros(asked.past.users)
    is_second_U = stable_hash(asked.past.user_id_U) // ONE_HELD_OUT_OF % 2 == 1
    told = [_Published(np.empty(0), np.empty(0, bool), np.empty(0, bool))]
    for user_B, some in pieces(asked.past):
        reading = anchored.read(some)
        log_odds_BV = reading.log_odds_WV()
        place_BI = strongest_UI(log_odds_BV)
        row_N, rank_N = np.nonzero(place_BI != NO_TAG)
        place_N = place_BI[row_N, rank_N]
        key_N = user_B[row_N] * asked.touched.tags + codes_V[place_N]
        is_touched_N = is_askable_V[place_N] & np.isin(key_N, asked.touched.key_P)
        told.append(_Published(log_odds_BV[row_N, place_N], is_touched_N, is_second_U[user_B[row_N]]))
        return_log_odds_U[user_B] = reading.return_log_odds_W()
    together = (np.concatenate([getattr(one, field.name) for one in told]) for field in fields(_Published))
    return _Published(*together), return_log_odds_U


def _line(log_odds_N: Floats, is_true_N: Bools) -> LogisticFormula:
    """Return the rising line of least log loss; the log-odds as they are where none can be told."""
    if not is_true_N.any() or is_true_N.all():
        return UNCHANGED
    fitted = fit_logistic((LOG_ODDS,), log_odds_N[:, None], is_true_N)
    return fitted if fitted.coefficients[LOG_ODDS] > 0 else UNCHANGED


def _return_by_counts_U(asked: Lesson, counts: Counts1Parameters) -> Floats:
    return return_probability_U(asked.past, asked.cut, counts.half_life_days, counts.returning)


def _auc(is_true_N: Bools, strength_N: Floats) -> float | None:
    """Return the area under the ROC curve; None where too few are of one class."""
    if min(is_true_N.sum(), (~is_true_N).sum()) < FEWEST_OF_A_CLASS:
        return None
    return float(roc_auc_score(is_true_N, strength_N))


def _ece(way: tuple[LogisticFormula, Calibration], asked: _Published) -> float:
    probability_N = Calibrations(*way, returning=None).affinity_N(asked.log_odds_N)
    return expected_calibration_error(probability_N, asked.is_touched_N)
