"""Calibration, Brier score and reliability, against scikit-learn and worlds whose truth is known."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss

from model.calibration import Calibration, fit_isotonic
from model.data.arrays import Bools, Floats
from model.data.cutoffs import Cutoffs
from model.data.folds import Histories
from model.data.users import stable_hash
from model.evaluation.calibration import (
    Temperature,
    brier_score,
    fit_calibrator,
    fit_temperature,
)
from model.evaluation.holdout import TestSet, TopK, build_test_set
from model.metrics import expected_calibration_error, reliability


def drawn(count: int, seed: int) -> tuple[Floats, Bools]:
    random = np.random.default_rng(seed)
    truth_N = random.beta(1, 3, count)
    return truth_N, random.uniform(size=count) < truth_N


def test_a_temperature_is_found_again() -> None:
    truth_N, is_true_N = drawn(40_000, 1)
    sharpened_N = expit(2.5 * logit(truth_N))
    found = fit_temperature(sharpened_N, is_true_N)
    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(2.5, rel=0.05)
    assert expected_calibration_error(found.apply(sharpened_N), is_true_N) < 0.01
    assert expected_calibration_error(sharpened_N, is_true_N) > 0.05


def test_isotonic_makes_probabilities_of_anything_that_rises() -> None:
    truth_N, is_true_N = drawn(40_000, 2)
    score_N = 7 * truth_N**3 - 2
    found = fit_isotonic(score_N, is_true_N)
    assert isinstance(found, Calibration)
    np.testing.assert_allclose(found.apply(score_N), truth_N, atol=0.1)
    assert expected_calibration_error(found.apply(score_N), is_true_N) < 0.01
    assert found.apply(np.array([-99.0, 99.0])).tolist() == [found.observed[0], found.observed[-1]]


def test_no_calibration_changes_an_order() -> None:
    score_N = np.sort(np.random.default_rng(3).uniform(size=500))
    for calibrator in (Temperature(3.0), Calibration((0.1, 0.5, 0.8), (0.2, 0.2, 0.9))):
        assert (np.diff(calibrator.apply(score_N)) >= 0).all()


@pytest.fixture
def test_set(known: Histories, windows: Cutoffs) -> TestSet:
    return build_test_set(known, windows, windows.validation)


def predictions(test_set: TestSet, bend: str, seed: int = 5) -> TopK:
    """Return a listing of forty tags that knows the truth, but states it miscalibrated."""
    random = np.random.default_rng(seed)
    truth_UL = -np.sort(-random.beta(0.5, 2, (test_set.users, 40)), axis=1)
    stated_UL = {
        "sharp": lambda: expit(3 * logit(np.clip(truth_UL, 1e-9, 1 - 1e-9))),
        "kinked": lambda: np.where(truth_UL < 0.5, truth_UL / 10, truth_UL),
    }[bend]()
    return TopK(
        test_set=test_set,
        tag_UL=np.tile(np.arange(40), (test_set.users, 1)),
        scores_UL=stated_UL,
        is_answer_UL=random.uniform(size=truth_UL.shape) < truth_UL,
        place_H=np.zeros(len(test_set.user_H), np.int64),
        seconds=0.0,
    )


@pytest.mark.parametrize(("bend", "kind"), [("sharp", Temperature), ("kinked", Calibration)])
def test_the_method_with_the_lower_held_out_error_is_taken(test_set: TestSet, bend: str, kind: type) -> None:
    validation, test = predictions(test_set, bend), predictions(test_set, bend, seed=6)
    found = fit_calibrator(validation, predicts_probabilities=True)
    assert isinstance(found, kind)

    def error(probability_UL: Floats) -> float:
        return expected_calibration_error(probability_UL[:, :10].ravel(), test.is_answer_UL[:, :10].ravel())

    assert error(found.apply(test.scores_UL)) < error(test.scores_UL) / 2


def test_the_method_is_chosen_by_the_ten_strongest_tags_alone(test_set: TestSet) -> None:
    """Ten tags are as likely as stated, the other thirty are stated at one half and never touched.

    No temperature moves one half, so the best one is 1 and right for the ten; only isotonic regression is right for the
    thirty. The ten of one half of the users are stated at .6, those of the other at .9, so that isotonic regression
    errs where it has seen only one of them.
    """
    is_second_U = stable_hash(test_set.past.user_id_U) % 2 == 1
    stated_UL = np.full((test_set.users, 40), 0.5)
    stated_UL[:, :10] = np.where(is_second_U, 0.9, 0.6)[:, None]
    top_k = TopK(
        test_set=test_set,
        tag_UL=np.tile(np.arange(40), (test_set.users, 1)),
        scores_UL=stated_UL,
        is_answer_UL=(stated_UL > 0.5) & (np.arange(40) < np.where(is_second_U, 9, 6)[:, None]),
        place_H=np.zeros(len(test_set.user_H), np.int64),
        seconds=0.0,
    )
    found = fit_calibrator(top_k, predicts_probabilities=True)
    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(1, abs=1e-3)


def test_a_score_that_is_no_probability_has_no_temperature(test_set: TestSet) -> None:
    assert isinstance(fit_calibrator(predictions(test_set, "sharp"), predicts_probabilities=False), Calibration)


def test_the_brier_score_is_over_all_pairs_with_0_beyond_the_listed(test_set: TestSet) -> None:
    whole = predictions(test_set, "sharp")
    assert brier_score(whole.scores_UL, whole) == pytest.approx(
        brier_score_loss(whole.is_answer_UL.ravel(), whole.scores_UL.ravel())
    )
    is_answer_UT = np.zeros((test_set.users, 40), dtype=bool)
    is_answer_UT[test_set.user_H, test_set.tag_H] = True
    cut_UT = np.where(np.arange(40) < 12, whole.scores_UL, 0.0)
    cutoff = TopK(
        test_set,
        whole.tag_UL[:, :12],
        whole.scores_UL[:, :12],
        is_answer_UT[:, :12],
        place_H=test_set.tag_H,
        seconds=0.0,
    )
    assert brier_score(cutoff.scores_UL, cutoff) == pytest.approx(
        brier_score_loss(is_answer_UT.ravel(), cut_UT.ravel())
    )


def test_points_of_reliability_lie_as_far_off_as_the_error_says() -> None:
    truth_N, is_true_N = drawn(5_000, 7)
    points = reliability(truth_N**2, is_true_N)
    assert len(points) == 15 and sum(point.count for point in points) == 5_000
    gap = sum(abs(point.predicted - point.observed) * point.count for point in points) / 5_000
    assert gap == pytest.approx(expected_calibration_error(truth_N**2, is_true_N))
    assert reliability(np.empty(0), np.empty(0, dtype=bool)) == ()
