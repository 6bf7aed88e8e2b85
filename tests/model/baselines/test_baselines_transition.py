"""The closed form against a ridge regression of which every row is written down."""

import numpy as np
import pytest

from model.baselines.interactions import Interactions
from model.baselines.transition import Bag, TransitionSettings, fit_transition
from model.data.arrays import Floats

ITEMS = 7
BAGS = (Bag(0.6, 2), Bag(0.9, 5))
SETTINGS = TransitionSettings(BAGS, ridge=3.0)


def interactions_of(lists: list[list[int]], items: int = ITEMS) -> Interactions:
    user_N = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    item_N = np.array([item for one in lists for item in one], dtype=np.int64)
    return Interactions(len(lists), items, user_N, item_N, np.arange(len(user_N)), np.zeros(len(user_N), np.int64))


def bags_of(steps: list[int], bags: tuple[Bag, ...]) -> Floats:
    row = np.zeros((len(bags), ITEMS))
    for number, bag in enumerate(bags):
        for back in range(1, min(bag.steps, len(steps)) + 1):
            row[number, steps[-back]] += bag.fading**back
    return row.ravel()


@pytest.fixture
def lists() -> list[list[int]]:
    """Return trails with repeated items; one is empty, one of a single step, some longer than any bag."""
    random = np.random.default_rng(4)
    lengths = [0, 1, 2, 4, 12, *random.integers(0, 9, 20).tolist()]
    return [random.integers(0, ITEMS, length).tolist() for length in lengths]


@pytest.mark.parametrize("bags", [BAGS, BAGS[:1], (*BAGS, Bag(1.0, 1))])
def test_the_map_is_that_of_a_ridge_regression_over_every_step(lists: list[list[int]], bags: tuple[Bag, ...]) -> None:
    steps = [(one[:place], one[place]) for one in lists for place in range(1, len(one))]
    x_NF = np.array([bags_of(before, bags) for before, _ in steps])
    y_NV = np.eye(ITEMS)[[item for _, item in steps]]
    weight_FV = np.linalg.solve(x_NF.T @ x_NF + 3.0 * np.eye(x_NF.shape[1]), x_NF.T @ y_NV)

    fitted = fit_transition(interactions_of(lists), TransitionSettings(bags, ridge=3.0))
    np.testing.assert_allclose(fitted.weight_FV, weight_FV, atol=1e-12)
    expected_UV = np.array([bags_of(one, bags) for one in lists]) @ weight_FV
    np.testing.assert_allclose(fitted.scores_BV(interactions_of(lists)), expected_UV, atol=1e-12)


def test_what_follows_a_thing_is_expected_after_it() -> None:
    fitted = fit_transition(interactions_of([[0, 1, 2]] * 50), TransitionSettings((Bag(0.5, 1),), ridge=1.0))
    assert fitted.scores_BV(interactions_of([[0], [1], []])).argmax(axis=1).tolist()[:2] == [1, 2]
    # One feature of .5 in 50 rows leads to 1: weight = 50 * .5 / (50 * .25 + 1), strength half of it.
    assert fitted.scores_BV(interactions_of([[0]]))[0, 1] == pytest.approx(12.5 / 13.5)
    assert not fitted.scores_BV(interactions_of([[]])).any()


def test_a_user_alone_gets_the_row_of_the_batch(lists: list[list[int]]) -> None:
    fitted, interactions = fit_transition(interactions_of(lists), SETTINGS), interactions_of(lists)
    alone = [fitted.scores_BV(one) for one in interactions.batches(1)]
    assert len(alone) == len(lists)
    np.testing.assert_array_equal(np.concatenate(alone), fitted.scores_BV(interactions))


def test_many_features_are_fitted_in_single_precision_and_say_nearly_the_same(
    lists: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    double = fit_transition(interactions_of(lists), SETTINGS)
    monkeypatch.setattr("model.baselines.transition.MAX_FEATURES_IN_DOUBLE", 2 * ITEMS - 1)
    single = fit_transition(interactions_of(lists), SETTINGS)
    assert (double.weight_FV.dtype, single.weight_FV.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single.weight_FV, double.weight_FV, atol=1e-5)
    assert single.scores_BV(interactions_of(lists)).dtype == np.float32


@pytest.mark.parametrize(("fading", "steps"), [(0.0, 3), (1.1, 3), (0.5, 0)])
def test_a_bag_that_cannot_be_is_refused(fading: float, steps: int) -> None:
    with pytest.raises(ValueError, match="expected a bag with fading above 0 and up to 1, over at least 1 step, found"):
        Bag(fading, steps)
