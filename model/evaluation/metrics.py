"""How good a ranking is for each user; means are over users (MODEL.md 4).

torchmetrics calculates each metric that it has, fed with strict places, so that it meets no ties: ours are broken by
rising tag code, the order of names. Two users whose answers stand at the same places have the same value, so it is
asked once for each pattern of hits in the first ten and number of misses instead of once a user, with the list cut
after the ten and the misses put behind: no metric at ten or less looks further.

Every value is nan for a user without an answer. A place without a tag, where there are fewer tags than places, is a
miss. Answers that no contestant can give (tags nobody had touched before the cut) count as misses.

Shape letters: U users, H answers (a user's together), K places 0 to 9, G patterns, L listed tags.

Kinds of users, by what was known of them at the cut, and of answers: returned to or new.

Shape letters: U users, H answers.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_recall,
)

from model.data.arrays import Bools, Floats, Ints
from model.data.history import History
from model.data.pairs import own_tags
from model.evaluation.holdout import TestSet, TopK
from model.metrics import nan_mean

DEPTHS = (1, 3, 5, 10)
RANKED_DEPTHS = (5, 10)
FIRST = 10
THRESHOLDS = 100  # tried on the validation cut

Values = dict[str, Floats]


def ranking_values(user_H: Ints, place_H: Ints, answers_U: Ints) -> Values:
    """Return each metric of each user.

    place_H: of the answers that can be given, 0 is the strongest. answers_U: all there was to find.
    """
    values = _values_of_the_first(user_H, place_H, answers_U)
    precision_U, recall_U = values["precision_at_1"], values["recall_at_10"]
    values["accuracy"] = precision_U  # of the one strongest tag
    capped_U = np.minimum(answers_U, FIRST)
    values["capped_recall_at_10"] = recall_U * _shared(answers_U, capped_U)
    for depth in DEPTHS:
        values[f"f1_at_{depth}"] = harmonic_mean(values[f"precision_at_{depth}"], values[f"recall_at_{depth}"])
    values["map"] = average_precision(user_H, place_H, answers_U)
    return values


def average_precision(user_H: Ints, place_H: Ints, answers_U: Ints) -> Floats:
    """Return the average precision over the whole ranking, whose mean over users is MAP."""
    value_U = np.full(len(answers_U), np.nan)
    value_U[answers_U > 0] = 0.0
    order_H = np.lexsort((place_H, user_H))
    starts_U = np.searchsorted(user_H[order_H], np.arange(len(answers_U) + 1))
    sorted_place_H = place_H[order_H]
    for user in np.unique(user_H):
        places = sorted_place_H[starts_U[user] : starts_U[user + 1]]
        is_answer = torch.zeros(int(places[-1]) + 1, dtype=torch.bool)
        is_answer[torch.from_numpy(places)] = True
        # Over the answers that can be given; the others stand nowhere and add nothing.
        given = len(places) / answers_U[user]
        value_U[user] = given * float(retrieval_average_precision(_falling(len(is_answer)), is_answer))
    return value_U


def threshold_values(top_k: TopK, threshold: float) -> Values:
    """Return precision, recall and F1 of what is at least as strong as `threshold` among each user's listed tags.

    Precision is nan where nothing is that strong; recall and F1 are 0 there.
    """
    is_predicted_UL = top_k.scores_UL >= threshold
    told_U = is_predicted_UL.sum(axis=1)
    hits_U = (is_predicted_UL & top_k.is_answer_UL).sum(axis=1)
    answers_U = top_k.test_set.answers_U
    is_judged_U = answers_U > 0
    return {
        "precision_at_threshold": _divided(hits_U, told_U, is_judged_U & (told_U > 0)),
        "recall_at_threshold": _divided(hits_U, answers_U, is_judged_U),
        "f1_at_threshold": _divided(2 * hits_U, told_U + answers_U, is_judged_U),
    }


def tuned_threshold(top_k: TopK) -> float:
    """Return the strength at which the mean F1 of a validation cut is highest, of 100 quantiles of the listed."""
    tried = np.unique(np.quantile(top_k.scores_UL, np.linspace(0, 1, THRESHOLDS)))
    f1 = [nan_mean(threshold_values(top_k, one)["f1_at_threshold"]) for one in tried]
    return float(tried[int(np.argmax(f1))])


def harmonic_mean(precision_U: Floats, recall_U: Floats) -> Floats:
    """Return F1; 0 where both are 0."""
    total_U = precision_U + recall_U
    value_U: Floats = np.where(np.isnan(total_U), np.nan, 0.0)
    np.divide(2 * precision_U * recall_U, total_U, out=value_U, where=total_U > 0)
    return value_U


def coverage(tag_UL: Ints, tags: int) -> float:
    """Return the share of the tags that stand in anybody's first ten, 0 to 1; nan where there is no tag."""
    return len(np.unique(tag_UL[:, :FIRST])) / tags if tags else float("nan")


def _values_of_the_first(user_H: Ints, place_H: Ints, answers_U: Ints) -> Values:
    is_first_H = place_H < FIRST
    is_hit_UK = np.zeros((len(answers_U), FIRST), dtype=bool)
    is_hit_UK[user_H[is_first_H], place_H[is_first_H]] = True
    judged = np.flatnonzero(answers_U > 0)
    pattern_UK = np.column_stack([is_hit_UK[judged], answers_U[judged] - is_hit_UK[judged].sum(axis=1)])
    distinct_GK, of_user = np.unique(pattern_UK, axis=0, return_inverse=True)
    targets = [_target(pattern_K[:FIRST].astype(bool), int(pattern_K[FIRST])) for pattern_K in distinct_GK]
    values = {}
    for name, metric in _metrics_of_the_first().items():
        value_G = np.array([float(metric(_falling(len(target)), target)) for target in targets])
        values[name] = np.full(len(answers_U), np.nan)
        values[name][judged] = value_G[of_user] if len(judged) else []
    return values


def _metrics_of_the_first() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    def at(metric: Callable[..., Tensor], depth: int) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda preds, target: metric(preds, target, top_k=depth)

    return {
        **{f"precision_at_{depth}": at(retrieval_precision, depth) for depth in DEPTHS},
        **{f"recall_at_{depth}": at(retrieval_recall, depth) for depth in DEPTHS},
        **{f"ndcg_at_{depth}": at(retrieval_normalized_dcg, depth) for depth in RANKED_DEPTHS},
        **{f"hit_rate_at_{depth}": at(retrieval_hit_rate, depth) for depth in RANKED_DEPTHS},
    }


def _target(is_hit_K: Bools, misses: int) -> Tensor:
    return torch.cat([torch.from_numpy(is_hit_K), torch.ones(misses, dtype=torch.bool)])


def _falling(length: int) -> Tensor:
    return torch.arange(length, 0, -1, dtype=torch.float64)


def _shared(whole_U: Ints, part_U: Ints) -> Floats:
    return _divided(whole_U, part_U, part_U > 0)


def _divided(numerator_U: Ints, denominator_U: Ints, is_defined_U: Bools) -> Floats:
    value_U: Floats = np.full(len(numerator_U), np.nan)
    np.divide(numerator_U, denominator_U, out=value_U, where=is_defined_U)
    return value_U


COLD_EVENTS = 3  # a user of one session with fewer is cold; nobody without an event is asked about


def cohorts(past: History) -> dict[str, Bools]:
    """Return who belongs to which cohort, each user to one, by sessions among the listed events.

    cold: one session of fewer than 3 events. 1 session: of 3 events or more.
    """
    sessions_U, events_U = past.session_counts_U(), past.event_counts_U()
    is_cold_U = (sessions_U <= 1) & (events_U < COLD_EVENTS)
    return {
        "cold": is_cold_U,
        "1 session": (sessions_U <= 1) & ~is_cold_U,
        "2–4 sessions": (sessions_U >= 2) & (sessions_U <= 4),
        "5–9 sessions": (sessions_U >= 5) & (sessions_U <= 9),
        "10+ sessions": sessions_U >= 10,
    }


def repeat_and_new_recall(test_set: TestSet, place_H: Ints, depth: int) -> tuple[Floats, Floats]:
    """Return the share of each user's answers among the `depth` strongest tags, of tags touched before and of others.

    Tags that nobody had touched before are new. nan for a user without an answer of the kind.
    """
    own = own_tags(test_set.asked).pairs
    is_repeat_H = np.isin(test_set.user_H * test_set.tags + test_set.tag_H, own.key_P)
    is_found_H = place_H < depth
    repeats_U = np.bincount(test_set.user_H[is_repeat_H], minlength=test_set.users)
    return (
        _share(test_set.user_H[is_repeat_H & is_found_H], repeats_U),
        _share(test_set.user_H[~is_repeat_H & is_found_H], test_set.answers_U - repeats_U),
    )


def _share(user_of_found: Ints, whole_U: Ints) -> Floats:
    found_U = np.bincount(user_of_found, minlength=len(whole_U))
    share_U: Floats = np.full(len(whole_U), np.nan)
    np.divide(found_U, whole_U, out=share_U, where=whole_U > 0)
    return share_U
