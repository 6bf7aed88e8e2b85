"""The decoder that emits tags one by one: its loss, and that it learns what users turn to."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import LabeledWindow, label_window
from model.interfaces import TrainingData
from model.transformer.config import LossWeights, NetworkConfig, TrainingConfig
from model.transformer.dataset import Batch, TrainingSet
from model.transformer.loss import loss_of, sequence_loss
from model.transformer.network import InterestTransformer
from model.transformer.stacked_features import CrossFittedFeatures
from model.transformer.tokens import Vocabulary
from model.transformer.trainer import Trainer

TINY = NetworkConfig(width=16, heads=2, encoder_blocks=1, decoder_blocks=1, interests=2)
WEEK = 7 * MICROS_PER_DAY


@pytest.fixture(scope="module")
def windows(world: Any) -> list[LabeledWindow]:
    """Three weeks in a row of 120 users, the last of them to be foretold."""
    history = history_of(world.until(world.last_day))
    history = history.of_users(np.arange(history.users) < 120)
    return [
        label_window(history, end, end + WEEK)
        for end in (end_of_day(world.last_day) - back * WEEK for back in (3, 2, 1))
    ]


@pytest.fixture(scope="module")
def vocabulary(windows: Sequence[LabeledWindow]) -> Vocabulary:
    return Vocabulary.of(windows[-1].past)


@pytest.fixture(scope="module")
def window_of(windows: Sequence[LabeledWindow], vocabulary: Vocabulary) -> Callable[..., TrainingSet]:
    """Return the function that asks everybody at the cuts of some lessons."""

    def of(some: Sequence[LabeledWindow]) -> TrainingSet:
        past = some[-1].past
        return TrainingSet.of(
            past, some, vocabulary, CrossFittedFeatures.of((), TrainingData(some, past, some[-1].cutoff)), TINY
        )

    return of


@pytest.fixture(scope="module")
def question(window_of: Callable[..., TrainingSet], windows: Sequence[LabeledWindow]) -> Batch:
    window = window_of(windows[:2])
    return window.question(np.flatnonzero(window.lengths_U() > 0)[:20])


def untrained(vocabulary: Vocabulary) -> InterestTransformer:
    torch.manual_seed(3)
    return InterestTransformer(TINY, len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions)).eval()


def test_a_tag_is_told_by_those_of_more_touches(vocabulary: Vocabulary, question: Batch) -> None:
    """The loss is that of a loop over users and cuts which feeds the decoder one true tag after the other."""
    network = untrained(vocabulary)
    memory_BLD = network.encode(question.batch)
    losses = []
    for user, cutoff in torch.nonzero(question.is_asked_BC).tolist():
        touches = question.touched_BCT[user, cutoff].tolist()
        tags = sorted((tag for tag, count in enumerate(touches) if count), key=lambda tag: (-touches[tag], tag))[:5]
        for place, tag in enumerate(tags):
            emitted = torch.zeros(*question.batch.cutoff_BC.shape, place, dtype=torch.long)
            emitted[user, cutoff] = torch.tensor(tags[:place], dtype=torch.long)
            told = network.tag_sequence(memory_BLD, question.batch, network.tag_TD, emitted)
            losses.append(-float(told[user, cutoff, -1, tag]))
    assert float(sequence_loss(network, memory_BLD, question)) == pytest.approx(np.mean(losses), rel=1e-4)


def test_its_loss_counts_what_its_weight_says_and_nothing_where_nobody_is_asked(
    vocabulary: Vocabulary, question: Batch
) -> None:
    network = untrained(vocabulary)
    answer = network(question.batch)
    off, on = (loss_of(network, answer, question, LossWeights(sequence=weight)) for weight in (0.0, 0.5))
    alone = sequence_loss(network, answer.memory_BLD, question)
    assert float(on - off) == pytest.approx(0.5 * float(alone), rel=1e-4)
    nobody = replace(question, is_asked_BC=torch.zeros_like(question.is_asked_BC))
    assert float(sequence_loss(network, answer.memory_BLD, nobody)) == 0.0


def test_without_its_weight_training_leaves_the_decoder_as_it_was(vocabulary: Vocabulary, question: Batch) -> None:
    network = untrained(vocabulary)
    for weight, is_taught in ((0.0, False), (0.5, True)):
        network.zero_grad()
        loss_of(network, network(question.batch), question, LossWeights(sequence=weight)).backward()  # type: ignore[no-untyped-call]
        assert (network.tag_sequence.first_D.grad is not None) == is_taught


def test_after_a_short_training_the_emitted_tags_are_touched_more_often(
    window_of: Callable[..., TrainingSet], windows: Sequence[LabeledWindow], vocabulary: Vocabulary
) -> None:
    """Of the week after the one that it learnt from."""
    recipe = TrainingConfig(
        epochs=8, tokens_at_once=2048, learning_rate=1e-2, warm_up_steps=5, weights=LossWeights(sequence=1.0)
    )
    learnt = Trainer(untrained(vocabulary), [window_of(windows[:2])], recipe).run().eval()
    later = window_of(windows[2:])
    asked = later.question(np.flatnonzero(later.lengths_U() > 0))

    def hit_share(network: InterestTransformer) -> float:
        emitted_BCJ = network.emit_tags(asked.batch, 5)
        assert all(len(set(emitted)) == 5 for emitted in emitted_BCJ[:, 0].tolist())
        return float((asked.touched_BCT.gather(2, emitted_BCJ) > 0)[asked.is_asked_BC].float().mean())

    before, after = hit_share(untrained(vocabulary)), hit_share(learnt)
    assert after > 1.5 * before
