"""A small network over a small history, in double precision, so that equal means equal."""

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
from model.transformer.tokens import TokenBatch, Tokens, Vocabulary, layout, token_batch

SMALL = NetworkConfig(width=16, heads=2, encoder_blocks=2, decoder_blocks=2, interests=3)
DAY = 86_400_000_000


@pytest.fixture(scope="session")
def history(world: Any) -> History:
    """The first 40 users of the made-up world with five sessions at least."""
    whole = history_of(world.until(world.last_day))
    rich = np.flatnonzero(whole.session_counts_U() >= 5)[:40]
    return whole.of_users(np.isin(np.arange(whole.users), rich))


@pytest.fixture(scope="session")
def vocabulary(history: History) -> Vocabulary:
    return Vocabulary.of(history)


@pytest.fixture(scope="session")
def tokens(history: History, vocabulary: Vocabulary) -> Tokens:
    return layout(history, vocabulary)


@pytest.fixture(scope="session")
def cutoffs(history: History) -> list[int]:
    """Two moments in the middle of the history, and its end."""
    last = int(history.at_E.max())
    return [last - 20 * DAY, last - 6 * DAY, last + 1]


@pytest.fixture(scope="session")
def batch(tokens: Tokens, cutoffs: list[int]) -> TokenBatch:
    return token_batch(tokens, np.arange(8), [cutoffs] * 8, most_tokens=400)


@pytest.fixture(scope="session")
def make_network(vocabulary: Vocabulary) -> Callable[..., InterestTransformer]:
    """Return the function that makes a network whose every part says something, ready to be asked."""

    def make(paths: int = 0, content_VK: torch.Tensor | None = None, **changes: Any) -> InterestTransformer:
        torch.manual_seed(5)
        known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
        network = InterestTransformer(replace(SMALL, **changes), *known, paths=paths, content_VK=content_VK).double()
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight) * 0.2)
            network.embedding.items.own.weight[0] = 0
            network.embedding.tags.weight[0] = 0
        return network.eval()

    return make


@pytest.fixture(scope="session")
def network(make_network: Callable[..., InterestTransformer]) -> InterestTransformer:
    return make_network()


@pytest.fixture(scope="session")
def weeks(world: Any) -> dict[int, History]:
    """What was known of 150 users 3, 2, 1 and 0 weeks before the last day."""
    days = {number: world.last_day - timedelta(days=7 * number) for number in range(4)}
    known = {number: history_of(world.until(day)) for number, day in days.items()}
    few = sorted(known[0].user_id_U)[:150]
    return {number: history.of_users(np.isin(history.user_id_U, few)) for number, history in known.items()}


@pytest.fixture(scope="session")
def training_data(world: Any, weeks: dict[int, History]) -> TrainingData:
    """Two weeks to learn from, through the week before the last day."""
    ends = {number: end_of_day(world.last_day) - number * 7 * DAY for number in weeks}
    windows = [
        label_window_between(weeks[number], weeks[number - 1], ends[number], ends[number - 1]) for number in (3, 2)
    ]
    return TrainingData(windows, weeks[1].before(ends[1]), ends[1])


@pytest.fixture(scope="session")
def challenger() -> TransformerChallenger:
    """All paths that a night can walk, and a network that is hardly trained."""
    few_trees = BoostedRanking(
        LambdaMart(trees=20, depth=2, learning_rate=0.1, least_weight_in_leaf=20.0, pair_method="mean", pairs=4)
    )
    paths = (OwnCounts(is_tuned=True), few_trees, NextTagByTransition(TransitionSettings()))
    return TransformerChallenger(TransformerModel(networks=2, recipe=TrainingConfig(epochs=1), paths=paths))


@pytest.fixture(scope="session")
def learnt(challenger: TransformerChallenger, training_data: TrainingData) -> TrainedTransformer:
    return challenger.learn(training_data, lambda doing: None)


@pytest.fixture(scope="session")
def counts(world: Any, weeks: dict[int, History]) -> Counts1:
    """counts-1 of the last day."""
    return fit_counts_to_history(weeks[0], world.last_day)


def doubled(batch: TokenBatch) -> TokenBatch:
    return replace(batch, number_BLF=batch.number_BLF.double())


@pytest.fixture(scope="session")
def asked(batch: TokenBatch) -> TokenBatch:
    """The batch as a network in double precision reads it."""
    return doubled(batch)
