"""Bends what a Transformer states to what happened, on users whose week it has not learnt from.

Shape letters: U users asked, V tags of the vocabulary, N published pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from model.arrays import Bools, Floats
from model.counts.calibration import AS_STATED
from model.counts.counts1 import Counts1
from model.counts.learn import learn
from model.counts.lesson import Lesson
from model.counts.parameters import Counts1Parameters
from model.counts.popularity import popularity
from model.counts.scores import return_probability_U
from model.training.affinity_line import PublishedTags, fit_affinity, rising_line
from model.transformer.anchored import Anchored, pieces
from model.transformer.interest_model import UNCHANGED, Calibrations, InterestModel
from model.transformer.paths import Paths
from model.transformer.table import NO_TAG, strongest_UI
from model.user_hash import stable_hash

ONE_HELD_OUT_OF = 5  # users
FEWEST_OF_A_CLASS = 20  # who came back, and who did not; of fewer no AUC means much


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A week: the users learnt from, and those that were held out."""

    taught: Lesson
    asked: Lesson
    paths: Paths  # as of the cut of the week


def calibrated(model: InterestModel, held_out: HeldOut) -> tuple[Calibrations, Mapping[str, Any]]:
    """Return what bends the affinities, and the return where it is told by the networks; how that went, too.

    Who comes back is foretold by the networks if they rank the held-out users better (AUC) than counts-1 learnt from
    the others does, else, and where too few came back or stayed away to tell, by counts-1.
    """
    asked, counts = held_out.asked, learn(held_out.taught)
    crowd = popularity(asked.past, asked.cut)
    anchored = Anchored(model, held_out.paths, Counts1(asked.cut, counts, crowd), asked.cut)
    published, return_log_odds_U = _answers(anchored, asked)
    (affinity, bent), held_out_ece = fit_affinity(published)
    auc = {
        "networks": _auc(asked.has_returned_U, return_log_odds_U),
        "counts-1": _auc(asked.has_returned_U, _return_by_counts_U(asked, counts)),
    }
    is_by_networks = None not in auc.values() and auc["networks"] > auc["counts-1"]  # type: ignore[operator]
    returning = rising_line(return_log_odds_U, asked.has_returned_U) if is_by_networks else None
    report = {
        "held_out_users": asked.past.users,
        "ece": held_out_ece,
        "is_lined": affinity != UNCHANGED,
        "is_bent": bent != AS_STATED,
        "return_auc": auc,
        "return_by": "networks" if is_by_networks else "counts-1",
    }
    return Calibrations(affinity, bent, returning), report


def _answers(anchored: Anchored, asked: Lesson) -> tuple[PublishedTags, Floats]:
    """Return log-odds and truth of each user's strongest tags, and the log-odds that each user comes back."""
    codes_V = np.searchsorted(asked.past.tag_T, anchored.model.vocabulary.tags)
    codes_V = np.minimum(codes_V, len(asked.past.tag_T) - 1)
    is_askable_V = np.asarray(asked.past.tag_T[codes_V] == anchored.model.vocabulary.tags, dtype=bool)
    return_log_odds_U = np.zeros(asked.past.users)
    is_second_U = stable_hash(asked.past.user_id_U) // ONE_HELD_OUT_OF % 2 == 1
    told = [PublishedTags(np.empty(0), np.empty(0, bool), np.empty(0, int), np.empty(0, bool))]
    for user_B, some in pieces(asked.past):
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


def _return_by_counts_U(asked: Lesson, counts: Counts1Parameters) -> Floats:
    return return_probability_U(asked.past, asked.cut, counts.half_life_days, counts.returning)


def _auc(is_true_N: Bools, strength_N: Floats) -> float | None:
    """Return the area under the ROC curve; None where too few are of one class."""
    if min(is_true_N.sum(), (~is_true_N).sum()) < FEWEST_OF_A_CLASS:
        return None
    return float(roc_auc_score(is_true_N, strength_N))
