"""The metrics against a second implementation that goes user by user, written from their definitions."""

from math import isnan, log2

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from torchmetrics.functional import retrieval

from model.data.arrays import Bools, Floats, Ints
from model.metrics import (
    RankedHits,
    expected_calibration_error,
    nan_mean,
    paired_difference,
    reliability,
)

USERS = 60


@pytest.fixture
def ranking() -> tuple[Ints, Floats, Ints, Bools, Ints]:
    """Pairs of 60 users, many equally strong; some users have no pair, some no hit, some hits beyond the pairs."""
    random = np.random.default_rng(3)
    user_P = np.sort(random.integers(0, USERS, 700))
    score_P = random.integers(0, 5, 700) / 4
    tie_P = random.permutation(700)
    is_hit_P = random.uniform(size=700) < 0.2
    is_hit_P[user_P % 7 == 0] = False
    hits_U = np.bincount(user_P, weights=is_hit_P, minlength=USERS).astype(np.int64)
    hits_U[::5] += 3
    hits_U[::35] = 0
    return user_P, score_P, tie_P, is_hit_P, hits_U


def hits_in_order(user: int, depth: int, ranking: tuple[Ints, Floats, Ints, Bools, Ints]) -> list[bool]:
    user_P, score_P, tie_P, is_hit_P, _ = ranking
    pairs = [pair for pair in range(len(user_P)) if user_P[pair] == user]
    pairs.sort(key=lambda pair: (-score_P[pair], tie_P[pair]))
    return [bool(is_hit_P[pair]) for pair in pairs[:depth]]


def test_ndcg_recall_and_f1_are_those_of_their_definitions(ranking: tuple[Ints, Floats, Ints, Bools, Ints]) -> None:
    ranked = RankedHits.of_pairs(*ranking)
    ndcg_U, recall_U, f1_U = ranked.ndcg_U(10), ranked.recall_U(10), ranked.f1_U(5)
    for user, to_find in enumerate(ranking[-1].tolist()):
        if not to_find:
            assert isnan(ndcg_U[user]) and isnan(recall_U[user]) and isnan(f1_U[user])
            continue
        ten, five = hits_in_order(user, 10, ranking), hits_in_order(user, 5, ranking)
        gain = sum(hit / log2(place + 2) for place, hit in enumerate(ten))
        assert ndcg_U[user] == pytest.approx(gain / sum(1 / log2(place + 2) for place in range(min(10, to_find))))
        assert recall_U[user] == pytest.approx(sum(ten) / to_find)
        precision, recall = sum(five) / 5, sum(five) / to_find
        harmonic = 2 * precision * recall / (precision + recall) if sum(five) else 0.0
        assert f1_U[user] == pytest.approx(harmonic)


def test_ranking_metrics_are_those_of_torchmetrics(ranking: tuple[Ints, Floats, Ints, Bools, Ints]) -> None:
    user_P, score_P, tie_P, is_hit_P, hits_U = ranking
    ranked = RankedHits.of_pairs(user_P, score_P, tie_P, is_hit_P, hits_U)
    for user in np.flatnonzero(hits_U).tolist():
        in_order = hits_in_order(user, 700, ranking)
        # Hits that are not ranked stand behind all that a metric looks at.
        target = torch.tensor(in_order + [False] * 20 + [True] * (int(hits_U[user]) - sum(in_order)))
        preds = torch.arange(len(target), 0, -1, dtype=torch.float64)
        for depth in (1, 3, 10):
            expected = {
                ranked.precision_U: retrieval.retrieval_precision,
                ranked.recall_U: retrieval.retrieval_recall,
                ranked.ndcg_U: retrieval.retrieval_normalized_dcg,
                ranked.hit_rate_U: retrieval.retrieval_hit_rate,
            }
            for metric, oracle in expected.items():
                assert metric(depth)[user] == pytest.approx(float(oracle(preds, target, top_k=depth)), abs=1e-6)
        target = torch.tensor([*in_order, False])
        found_share = sum(in_order) / hits_U[user]
        oracle_value = float(retrieval.retrieval_average_precision(torch.arange(len(target), 0, -1.0), target))
        assert ranked.average_precision_U()[user] == pytest.approx(found_share * oracle_value, abs=1e-6)


def test_the_order_of_the_pairs_changes_nothing(ranking: tuple[Ints, Floats, Ints, Bools, Ints]) -> None:
    *pairs, hits_U = ranking
    order = np.random.default_rng(0).permutation(len(pairs[0]))
    ranked = RankedHits.of_pairs(*ranking)
    shuffled = RankedHits.of_pairs(*(array[order] for array in pairs), hits_U)
    np.testing.assert_allclose(shuffled.ndcg_U(10), ranked.ndcg_U(10))
    np.testing.assert_allclose(shuffled.recall_U(5), ranked.recall_U(5))


def test_no_users_and_no_pairs_have_no_values() -> None:
    nothing = (np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0, bool))
    for metric in (RankedHits.ndcg_U, RankedHits.recall_U):
        assert metric(RankedHits.of_pairs(*nothing, np.empty(0, np.int64)), 10).tolist() == []
        assert np.isnan(metric(RankedHits.of_pairs(*nothing, np.array([0])), 10)).tolist() == [True]
        assert metric(RankedHits.of_pairs(*nothing, np.array([2])), 10).tolist() == [0.0]
    assert isnan(nan_mean(np.array([np.nan])))
    assert nan_mean(np.array([np.nan, 0.5])) == 0.5


def test_the_calibration_error_is_over_fifteen_bins() -> None:
    """Of 30 predictions two make a bin; their gaps are .3 and -.1, in the next bin -.3 and .1, and so on.

    So each bin is .1 off. In wider bins more of the gaps cancel out, in narrower ones fewer.
    """
    stated_N = np.linspace(0.35, 0.65, 30)
    true_N = stated_N + np.tile([0.3, -0.1, -0.3, 0.1], 8)[:30]
    order_N = np.random.default_rng(1).permutation(30)
    assert expected_calibration_error(stated_N[order_N], true_N[order_N]) == pytest.approx(0.1)


def test_reliability_and_its_error_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(2)
    probability_N = random.uniform(size=15 * 40)
    is_true_N = random.uniform(size=15 * 40) < probability_N**2
    observed, predicted = calibration_curve(is_true_N, probability_N, n_bins=15, strategy="quantile")
    points = reliability(probability_N, is_true_N)
    np.testing.assert_allclose([(point.predicted, point.observed) for point in points], np.c_[predicted, observed])
    error = np.abs(predicted - observed).mean()  # all bins are of one size
    assert expected_calibration_error(probability_N, is_true_N) == pytest.approx(error)


def test_the_interval_is_that_of_the_normal_law_where_users_are_many() -> None:
    random = np.random.default_rng(5)
    base_U = random.uniform(size=4000)
    gain_U = random.normal(0.02, 0.2, 4000)
    difference = paired_difference(base_U + gain_U, base_U)
    error = 1.96 * gain_U.std() / np.sqrt(4000)
    assert difference.mean == pytest.approx(gain_U.mean())
    assert difference.low == pytest.approx(gain_U.mean() - error, abs=error / 10)
    assert difference.high == pytest.approx(gain_U.mean() + error, abs=error / 10)
    assert paired_difference(base_U + gain_U, base_U) == difference


def test_users_without_a_value_are_left_out_and_no_user_at_all_is_refused() -> None:
    difference = paired_difference(np.array([np.nan, 1.0, 1.0]), np.array([0.0, 0.5, 0.5]))
    assert (difference.mean, difference.low, difference.high) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="no user has both values"):
        paired_difference(np.array([np.nan]), np.array([1.0]))


def test_users_without_a_value_on_the_right_are_left_out_as_well() -> None:
    difference = paired_difference(np.array([1.0, 9.0, 1.0]), np.array([0.5, np.nan, 0.5]))
    assert (difference.mean, difference.low, difference.high) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="no user has both values"):
        paired_difference(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))
