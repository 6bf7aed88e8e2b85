"""A small network over a small history, in double precision, so that equal means equal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model.history import History, history_of
from model.transformer.batch import Batch, batch_of
from model.transformer.layout import Tokens, layout
from model.transformer.network import InterestTransformer
from model.transformer.size import Size
from model.transformer.vocabulary import Vocabulary

SMALL = Size(width=16, heads=2, encoder_blocks=2, decoder_blocks=2, interests=3)
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
def cuts(history: History) -> list[int]:
    """Two moments in the middle of the history, and its end."""
    last = int(history.at_E.max())
    return [last - 20 * DAY, last - 6 * DAY, last + 1]


@pytest.fixture(scope="session")
def batch(tokens: Tokens, cuts: list[int]) -> Batch:
    return batch_of(tokens, np.arange(8), [cuts] * 8, most_tokens=400)


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


def doubled(batch: Batch) -> Batch:
    return replace(batch, number_BLF=batch.number_BLF.double())


@pytest.fixture(scope="session")
def asked(batch: Batch) -> Batch:
    """The batch as a network in double precision reads it."""
    return doubled(batch)
