"""Listing and metrics against scikit-learn and a few lines of numpy that go user by user over whole rankings."""

from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score, precision_score, recall_score

from model.data.arrays import Floats
from model.data.cutoffs import Cutoffs
from model.data.folds import Histories
from model.data.history import History
from model.evaluation.holdout import TestSet, TopK, build_test_set, predict_top_k, strongest
from model.evaluation.metrics import coverage, ranking_values, threshold_values, tuned_threshold
from model.metrics import RankedHits, nan_mean

TAGS = 40


@dataclass(frozen=True, eq=False)
class Stated:
    """Returns given scores by user id, many of them equal."""

    scores_of: dict[str, Floats]

    def scores_UT(self, past: History) -> Floats:
        return np.array([self.scores_of[user] for user in past.user_id_U])


@pytest.fixture(scope="module")
def test_set(known: Histories, windows: Cutoffs) -> TestSet:
    found = build_test_set(known, windows, windows.test)
    assert found.tags == TAGS
    found.unknown_U[::6] += 2
    return found


@pytest.fixture(scope="module")
def scores_UT(test_set: TestSet) -> Floats:
    return np.random.default_rng(4).integers(0, 12, (test_set.users, TAGS)) / 11


@pytest.fixture(scope="module")
def top_k(test_set: TestSet, scores_UT: Floats) -> TopK:
    return predict_top_k(Stated(dict(zip(test_set.past.user_id_U, scores_UT, strict=True))), test_set)


@pytest.fixture(scope="module")
def values(test_set: TestSet, top_k: TopK) -> dict[str, Floats]:
    return ranking_values(top_k.ranked)


def order_of(score_T: Floats) -> list[int]:
    return sorted(range(len(score_T)), key=lambda tag: (-score_T[tag], tag))


def truth_in_order(test_set: TestSet, scores_UT: Floats, user: int) -> Any:
    touched = set(test_set.tag_H[test_set.user_H == user].tolist())
    return np.array([tag in touched for tag in order_of(scores_UT[user])])


def test_the_strongest_are_listed_and_equals_ordered_by_code(scores_UT: Floats) -> None:
    for count in (1, 7, TAGS):
        expected = [order_of(score_T)[:count] for score_T in scores_UT]
        assert strongest(scores_UT, count).tolist() == expected
    assert strongest(np.zeros((2, 5)), 3).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_the_place_of_an_answer_is_that_in_the_whole_ranking(test_set: TestSet, scores_UT: Floats, top_k: TopK) -> None:
    for user, tag, place in zip(test_set.user_H, test_set.tag_H, top_k.place_H, strict=True):
        assert order_of(scores_UT[user]).index(tag) == place


def test_batches_change_nothing(test_set: TestSet, scores_UT: Floats, top_k: TopK) -> None:
    ranker = Stated(dict(zip(test_set.past.user_id_U, scores_UT, strict=True)))
    for cells_at_once in (1, 7 * TAGS, 100_000_000):
        again = predict_top_k(ranker, test_set, cells_at_once)
        assert np.array_equal(again.tag_UL, top_k.tag_UL)
        assert np.array_equal(again.scores_UL, top_k.scores_UL)
        assert np.array_equal(again.place_H, top_k.place_H)


@pytest.mark.parametrize(
    ("scores", "says"),
    [(np.full((1, TAGS), np.nan), "nan or infinite"), (np.zeros((1, 3)), r"shape \(1, 3\), expected \(1, 40\)")],
)
def test_scores_that_rank_nothing_are_refused(test_set: TestSet, scores: Floats, says: str) -> None:
    class Broken:
        def scores_UT(self, past: History) -> Floats:
            return scores

    with pytest.raises(ValueError, match=says):
        predict_top_k(Broken(), test_set, 1)


def test_values_are_those_of_scikit_learn(
    test_set: TestSet, scores_UT: Floats, top_k: TopK, values: dict[str, Floats]
) -> None:
    checked = 0
    for user in range(test_set.users):
        answers = int(test_set.answers_U[user])
        if not answers:
            assert all(np.isnan(value_U[user]) for value_U in values.values())
            continue
        checked += 1
        is_answer = truth_in_order(test_set, scores_UT, user)
        unknown = int(test_set.unknown_U[user])
        # An unknown tag ranks behind all others.
        whole = np.concatenate([is_answer, np.ones(unknown, dtype=bool)])
        falling = np.arange(len(whole), 0, -1)
        for depth in (1, 3, 5, 10):
            is_predicted = falling > len(whole) - depth
            assert values[f"precision_at_{depth}"][user] == pytest.approx(precision_score(whole, is_predicted))
            assert values[f"recall_at_{depth}"][user] == pytest.approx(recall_score(whole, is_predicted))
            hits = int(is_answer[:depth].sum())
            assert values[f"f1_at_{depth}"][user] == pytest.approx(2 * hits / (depth + answers))
        for depth in (5, 10):
            assert values[f"ndcg_at_{depth}"][user] == pytest.approx(ndcg_score([whole], [falling], k=depth), abs=1e-6)
            assert values[f"hit_rate_at_{depth}"][user] == float(is_answer[:depth].any())
        assert values["accuracy"][user] == float(is_answer[0])
        assert values["capped_recall_at_10"][user] == pytest.approx(is_answer[:10].sum() / min(10, answers))
        if unknown == 0:
            assert values["map"][user] == pytest.approx(average_precision_score(whole, falling), abs=1e-6)
        places = np.flatnonzero(is_answer)
        by_hand = sum((number + 1) / (place + 1) for number, place in enumerate(places)) / answers
        assert values["map"][user] == pytest.approx(by_hand, abs=1e-6)
    assert 100 < checked < test_set.users


def test_the_ndcg_of_the_tuning_is_the_one_that_is_reported(top_k: TopK, values: dict[str, Floats]) -> None:
    assert top_k.ndcg() == nan_mean(values["ndcg_at_10"])


def test_ties_between_an_answer_and_others_are_broken_by_code_alone() -> None:
    """Equal scores: the answer of code 3 ranks fourth with any sort."""
    values = ranking_values(RankedHits(np.array([0]), np.array([3]), np.array([1])))
    assert values["ndcg_at_5"][0] == pytest.approx(1 / log2(5))
    assert values["map"][0] == pytest.approx(1 / 4)
    assert values["recall_at_3"][0] == 0.0 and values["recall_at_5"][0] == 1.0


def test_empty_inputs_have_no_value_and_ranks_without_a_tag_are_misses() -> None:
    none = np.empty(0, np.int64)
    for value_U in ranking_values(RankedHits(none, none, np.array([0, 0]))).values():
        assert np.isnan(value_U).all()
    for value_U in ranking_values(RankedHits(none, none, none)).values():
        assert value_U.tolist() == []
    found = ranking_values(RankedHits(np.array([0, 0]), np.array([0, 1]), np.array([2])))  # of two tags, both touched
    assert found["precision_at_10"][0] == pytest.approx(0.2)
    assert found["recall_at_3"][0] == found["ndcg_at_10"][0] == found["map"][0] == 1.0
    unknown = ranking_values(RankedHits(none, none, np.array([3])))  # touched nothing that anybody knows
    assert unknown["map"][0] == unknown["recall_at_10"][0] == unknown["f1_at_10"][0] == 0.0


def test_the_threshold_is_the_best_of_those_tried(test_set: TestSet, top_k: TopK) -> None:
    def f1(threshold: float) -> float:
        return nan_mean(threshold_values(top_k, threshold)["f1_at_threshold"])

    chosen = tuned_threshold(top_k)
    assert f1(chosen) >= max(f1(level) for level in np.arange(12) / 11)
    values = threshold_values(top_k, chosen)
    for user in range(test_set.users):
        predicted = set(top_k.tag_UL[user][top_k.scores_UL[user] >= chosen].tolist())
        touched = set(test_set.tag_H[test_set.user_H == user].tolist())
        if test_set.answers_U[user]:
            assert values["recall_at_threshold"][user] == pytest.approx(
                len(predicted & touched) / test_set.answers_U[user]
            )
        else:
            assert np.isnan(values["recall_at_threshold"][user])


def test_a_threshold_above_all_scores_predicts_nothing(top_k: TopK) -> None:
    values = threshold_values(top_k, 2.0)
    assert np.isnan(values["precision_at_threshold"]).all()
    assert np.nanmax(values["f1_at_threshold"]) == np.nanmax(values["recall_at_threshold"]) == 0.0


def test_coverage_is_of_tags_in_the_first_ten() -> None:
    assert coverage(np.array([[*range(10), 30], [*range(1, 11), 31]]), 44) == pytest.approx(11 / 44)
    assert np.isnan(coverage(np.empty((0, 0), np.int64), 0))
