"""The loss is a cross entropy, a training is reproducible, and it beats popularity where order matters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from model.baselines.interactions import Interactions
from model.transformer.config import lr_schedule
from model.transformer.trainer import WeightAverage
from tests.bench.next_item.blend import MIN_PROBABILITY, BlendRanker, blended_BV, log_probability_BV, ndcg_by_weight
from tests.bench.next_item.loss import PLACES_AT_ONCE, next_item_loss
from tests.bench.next_item.model import NextItemModel
from tests.bench.next_item.network import ItemSize, NextItemNet
from tests.bench.next_item.trainer import ItemProgress, ItemTrainingConfig, train_net
from tests.bench.public_sets.item_models import PopularItems
from tests.bench.public_sets.next_item import TEST, VALIDATION, hits_U, leave_one_out, ndcg_U, ranks_U

InteractionsOf = Callable[[list[list[int]]], Interactions]
CONFIG = ItemTrainingConfig(
    size=ItemSize(width=16, heads=2, blocks=1, places=32, dropout=0.1),
    epochs=6, newest=10, tokens_at_once=100, learning_rate=1e-2, warm_up_steps=5, validate_every=2,
)  # fmt: skip


def test_the_loss_and_its_gradients_are_those_of_the_cross_entropy() -> None:
    torch.manual_seed(3)
    places = 2 * PLACES_AT_ONCE + 7
    expected_RD = torch.randn(places, 8, dtype=torch.float64, requires_grad=True)
    target_R, item_VD = torch.randint(0, 50, (places,)), torch.randn(50, 8, dtype=torch.float64, requires_grad=True)
    found, full = next_item_loss(expected_RD, target_R, item_VD), cross_entropy(expected_RD @ item_VD.T, target_R)
    torch.testing.assert_close(found, full)
    gradients = [torch.autograd.grad(3.0 * loss, (expected_RD, item_VD)) for loss in (found, full)]
    torch.testing.assert_close(*gradients)


def train(interactions: Interactions, **changes: Any) -> dict[str, torch.Tensor]:
    return train_net(interactions, replace(CONFIG, **changes), validate=lambda net: 0.0).state_dict()


def test_two_trainings_of_one_seed_are_equal_bit_for_bit(
    interactions_of: InteractionsOf, lives: list[list[int]]
) -> None:
    interactions = interactions_of(lives)
    one, other, of_other_seed = train(interactions), train(interactions), train(interactions, seed=2)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["item.weight"], of_other_seed["item.weight"])


@pytest.mark.parametrize(
    "change",
    [
        {"newest": 6}, {"tokens_at_once": 50}, {"learning_rate": 5e-3}, {"warm_up_steps": 9},
        {"weight_decay": 1.0}, {"averaging": 0.5}, {"epochs": 3}, {"validate_every": 1},
        {"size": replace(CONFIG.size, dropout=0.0)},
    ],
)  # fmt: skip
def test_each_setting_changes_the_outcome(
    interactions_of: InteractionsOf, lives: list[list[int]], change: dict[str, Any]
) -> None:
    interactions = interactions_of(lives[:40])
    assert not torch.equal(train(interactions)["item.weight"], train(interactions, **change)["item.weight"])


def test_the_best_epoch_of_the_validation_is_kept(interactions_of: InteractionsOf, lives: list[list[int]]) -> None:
    seen: list[torch.Tensor] = []

    def validate(net: NextItemNet) -> float:
        seen.append(net.item.weight.clone())
        return [0.1, 0.3, 0.2][len(seen) - 1]

    progress: list[ItemProgress] = []
    best = train_net(interactions_of(lives), CONFIG, validate, progress.append)
    assert len(seen) == 3 and torch.equal(best.item.weight, seen[1])
    assert [one.validation_score for one in progress if one.validation_score is not None] == [0.1, 0.3, 0.2]
    assert progress[-1].epoch == 6 and progress[-1].tokens > 6 * 120


def test_a_log_without_two_steps_of_a_user_is_refused(interactions_of: InteractionsOf) -> None:
    with pytest.raises(ValueError, match="no user has two steps"):
        train_net(interactions_of([[1], [2]]), CONFIG, validate=lambda net: 0.0)


def test_a_planted_order_is_learned_where_popularity_fails(
    interactions_of: InteractionsOf, lives: list[list[int]]
) -> None:
    interactions = interactions_of(lives)
    validation, test = leave_one_out(interactions, VALIDATION), leave_one_out(interactions, TEST)
    model = NextItemModel(replace(CONFIG, epochs=20), validation)
    net, popular = model.fit(validation.past), PopularItems().fit(validation.past)
    reached, counted = (float(ndcg_U(ranks_U(one, test, 10)).mean()) for one in (net, popular))
    assert reached > 1.5 * counted
    assert float(hits_U(ranks_U(net, test, 10)).mean()) > 0.7
    assert model.settings()["epochs"] == 20


def test_a_blend_adds_logarithms_and_its_weight_matters(
    interactions_of: InteractionsOf, lives: list[list[int]], net: NextItemNet
) -> None:
    interactions = interactions_of(lives)
    test = leave_one_out(interactions, TEST)
    popular = PopularItems().fit(test.past)
    model = NextItemModel(CONFIG, leave_one_out(interactions, VALIDATION)).fit(
        leave_one_out(interactions, VALIDATION).past
    )
    prior_BV, net_BV = log_probability_BV(popular, test.past), model.scores_BV(test.past)
    blend = BlendRanker((model, model), popular, prior_weight=0.7)
    np.testing.assert_allclose(blend.scores_BV(test.past), net_BV + 0.7 * prior_BV, atol=1e-5)
    tried = ndcg_by_weight([net_BV], prior_BV, test, (0.0, 50.0))
    assert tried[0.0] == pytest.approx(ndcg_U(ranks_U(model, test, 100)).mean())
    assert tried[50.0] < tried[0.0]
    assert np.array_equal(blended_BV([net_BV], prior_BV, 0.0), net_BV)


def test_an_impossible_item_has_a_finite_logarithm(interactions_of: InteractionsOf) -> None:
    prior = PopularItems().fit(interactions_of([[1]]))
    assert log_probability_BV(prior, interactions_of([[1]])).min() == pytest.approx(np.log(MIN_PROBABILITY))


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [lr_schedule(step, 1000, 100) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01) and rates[-1] == pytest.approx(0)
    assert np.all(np.diff(rates[:90]) > 0) and np.all(np.diff(rates[100:]) < 0)


def test_an_average_of_weights_forgets_its_start() -> None:
    network = torch.nn.Linear(2, 1)
    average = WeightAverage(network, decay=0.9)
    with torch.no_grad():
        network.weight.fill_(7.0)
    average.update(network)
    assert not torch.allclose(average.network.weight, network.weight)
    for _ in range(200):
        average.update(network)
    torch.testing.assert_close(average.network.weight, network.weight)
    assert not average.network.weight.requires_grad
