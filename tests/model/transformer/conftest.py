"""A small history and networks in double precision, and a trained Transformer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import torch

from model.baselines.next_tag import NextTagByTransition
from model.baselines.simple import OwnCounts
from model.baselines.transition import TransitionSettings
from model.boosting.ranker import BoostedRanking, LambdaMart
from model.counts.model import Counts1, fit_counts_to_history
from model.data.days import end_of_day
from model.data.history import History, history_of
from model.data.labels import label_window_between
from model.interfaces import TrainingData
from model.training.challengers import TrainedTransformer, TransformerChallenger
from model.transformer.config import NetworkConfig, TrainingConfig
from model.transformer.fit import TransformerModel
from model.transformer.network import InterestTransformer
from model.transformer.tokens import TokenBatch, Tokens, Vocabulary, token_batch, tokenize

SMALL = NetworkConfig(width=16, heads=2, encoder_blocks=2, decoder_blocks=2, interests=3)
DAY = 86_400_000_000


@pytest.fixture(scope="session")
def history(world: Any) -> History:
    """Return the first 40 users of the synthetic world with at least five sessions."""
    whole = history_of(world.until(world.last_day))
    rich = np.flatnonzero(whole.session_counts_U() >= 5)[:40]
    return whole.of_users(np.isin(np.arange(whole.users), rich))


@pytest.fixture(scope="session")
def vocabulary(history: History) -> Vocabulary:
    return Vocabulary.of(history)


@pytest.fixture(scope="session")
def tokens(history: History, vocabulary: Vocabulary) -> Tokens:
    return tokenize(history, vocabulary)


@pytest.fixture(scope="session")
def cutoffs(history: History) -> list[int]:
    """Return two moments in the middle of the history, and its end."""
    last = int(history.at_E.max())
    return [last - 20 * DAY, last - 6 * DAY, last + 1]


@pytest.fixture(scope="session")
def batch(tokens: Tokens, cutoffs: list[int]) -> TokenBatch:
    return token_batch(tokens, np.arange(8), [cutoffs] * 8, max_tokens=400)


@pytest.fixture(scope="session")
def make_network(vocabulary: Vocabulary) -> Callable[..., InterestTransformer]:
    """Return a function that makes a network in which every part changes the output."""

    def make(features: int = 0, content_VK: torch.Tensor | None = None, **changes: Any) -> InterestTransformer:
        torch.manual_seed(5)
        known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
        network = InterestTransformer(
            replace(SMALL, **changes), *known, features=features, content_VK=content_VK
        ).double()
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight) * 0.2)
            network.embedding.items.learned.weight[0] = 0
            network.embedding.tags.weight[0] = 0
        return network.eval()

    return make


@pytest.fixture(scope="session")
def network(make_network: Callable[..., InterestTransformer]) -> InterestTransformer:
    return make_network()


@pytest.fixture(scope="session")
def weeks(world: Any) -> dict[int, History]:
    """Return the histories of 150 users as known 3, 2, 1 and 0 weeks before the last day."""
    days = {number: world.last_day - timedelta(days=7 * number) for number in range(4)}
    known = {number: history_of(world.until(day)) for number, day in days.items()}
    few = sorted(known[0].user_id_U)[:150]
    return {number: history.of_users(np.isin(history.user_id_U, few)) for number, history in known.items()}


@pytest.fixture(scope="session")
def training_data(world: Any, weeks: dict[int, History]) -> TrainingData:
    """Return two labeled weeks, the second of which ends a week before the last day."""
    ends = {number: end_of_day(world.last_day) - number * 7 * DAY for number in weeks}
    windows = [
        label_window_between(weeks[number], weeks[number - 1], ends[number], ends[number - 1]) for number in (3, 2)
    ]
    return TrainingData(windows, weeks[1].before(ends[1]), ends[1])


@pytest.fixture(scope="session")
def challenger() -> TransformerChallenger:
    """Return a challenger with every stacked model that can be saved, and two networks of one epoch."""
    few_trees = BoostedRanking(
        LambdaMart(trees=20, depth=2, learning_rate=0.1, least_weight_in_leaf=20.0, pair_method="mean", pairs=4)
    )
    stacked_models = (OwnCounts(is_tuned=True), few_trees, NextTagByTransition(TransitionSettings()))
    return TransformerChallenger(
        TransformerModel(networks=2, training_config=TrainingConfig(epochs=1), stacked_models=stacked_models)
    )


@pytest.fixture(scope="session")
def trained(challenger: TransformerChallenger, training_data: TrainingData) -> TrainedTransformer:
    return challenger.train(training_data, lambda message: None)


@pytest.fixture(scope="session")
def counts(world: Any, weeks: dict[int, History]) -> Counts1:
    """Return counts-1 of the last day."""
    return fit_counts_to_history(weeks[0], world.last_day)


def to_double(batch: TokenBatch) -> TokenBatch:
    return replace(batch, number_BLF=batch.number_BLF.double())


@pytest.fixture(scope="session")
def double_batch(batch: TokenBatch) -> TokenBatch:
    """Return the batch for a network in double precision."""
    return to_double(batch)
