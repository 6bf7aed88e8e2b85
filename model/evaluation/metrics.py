"""Per-user values of an evaluation's predictions, and the cohorts of users that they are averaged over.

Equal scores are ranked by rising tag code, which is the order of names. A place without a tag, where there are fewer
tags than places, is a miss. Answers that no model can give (tags that no user had touched before the cutoff) are
misses too. Every value is nan for a user without an answer.

Shape letters: U users, H answers (a user's together), L predicted tags of a user.
"""

import numpy as np

from model.data.arrays import Bools, Floats, Ints
from model.data.history import History
from model.data.pairs import own_tags
from model.evaluation.holdout import TestSet, TopK
from model.metrics import RankedHits, divide_where, nan_mean

DEPTHS = (1, 3, 5, 10)
RANKED_DEPTHS = (5, 10)
FIRST = 10
THRESHOLDS = 100  # candidates on the validation cutoff
COLD_EVENTS = 3  # a user of one session with fewer is cold; every user of a test set has an event

Values = dict[str, Floats]


def ranking_values(ranked: RankedHits) -> Values:
    """Return each metric of each user."""
    return {
        **{f"precision_at_{depth}": ranked.precision_U(depth) for depth in DEPTHS},
        **{f"recall_at_{depth}": ranked.recall_U(depth) for depth in DEPTHS},
        **{f"ndcg_at_{depth}": ranked.ndcg_U(depth) for depth in RANKED_DEPTHS},
        **{f"hit_rate_at_{depth}": ranked.hit_rate_U(depth) for depth in RANKED_DEPTHS},
        "accuracy": ranked.precision_U(1),  # of the top tag
        "capped_recall_at_10": ranked.capped_recall_U(FIRST),
        **{f"f1_at_{depth}": ranked.f1_U(depth) for depth in DEPTHS},
        "map": ranked.average_precision_U(),
    }


def threshold_values(top_k: TopK, threshold: float) -> Values:
    """Return precision, recall and F1 of each user's predicted tags with a score of at least `threshold`.

    Precision is nan where no score is that high; recall and F1 are 0 there.
    """
    is_predicted_UL = top_k.scores_UL >= threshold
    predicted_U = is_predicted_UL.sum(axis=1)
    hits_U = (is_predicted_UL & top_k.is_answer_UL).sum(axis=1)
    answers_U = top_k.test_set.answers_U
    has_answer_U = answers_U > 0
    return {
        "precision_at_threshold": divide_where(hits_U, predicted_U, has_answer_U & (predicted_U > 0)),
        "recall_at_threshold": divide_where(hits_U, answers_U, has_answer_U),
        "f1_at_threshold": divide_where(2 * hits_U, predicted_U + answers_U, has_answer_U),
    }


def tuned_threshold(top_k: TopK) -> float:
    """Return the score at which the mean F1 of a validation cutoff is highest, out of 100 quantiles of the scores."""
    candidates = np.unique(np.quantile(top_k.scores_UL, np.linspace(0, 1, THRESHOLDS)))
    f1 = [nan_mean(threshold_values(top_k, candidate)["f1_at_threshold"]) for candidate in candidates]
    return float(candidates[int(np.argmax(f1))])


def coverage(tag_UL: Ints, tags: int) -> float:
    """Return the share of the tags that are in any user's first ten, 0 to 1; nan where there is no tag."""
    return len(np.unique(tag_UL[:, :FIRST])) / tags if tags else float("nan")


def cohorts(past: History) -> dict[str, Bools]:
    """Return the members of each cohort, by sessions among the events in `past`; a user belongs to one cohort.

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
    """Return each user's recall at `depth` of the tags that the user had touched before, and of all other tags.

    nan for a user without an answer of the kind.
    """
    own = own_tags(test_set.past).pairs
    is_repeat_H = np.isin(test_set.user_H * test_set.tags + test_set.tag_H, own.key_P)
    repeats_U = np.bincount(test_set.user_H[is_repeat_H], minlength=test_set.users)
    new_U = test_set.answers_U - repeats_U
    repeat_hits = RankedHits(test_set.user_H[is_repeat_H], place_H[is_repeat_H], repeats_U)
    new_hits = RankedHits(test_set.user_H[~is_repeat_H], place_H[~is_repeat_H], new_U)
    return repeat_hits.recall_U(depth), new_hits.recall_U(depth)
