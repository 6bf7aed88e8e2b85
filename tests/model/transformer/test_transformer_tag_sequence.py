"""The tag sequence decoder: its loss and its training."""

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
from model.transformer.fit import TAG_SEQUENCE_TRANSFORMER, WEEKLY_TRANSFORMER, TransformerModel
from model.transformer.loss import sequence_loss, total_loss
from model.transformer.network import InterestTransformer
from model.transformer.stacked_features import CrossFittedFeatures
from model.transformer.tokens import Vocabulary
from model.transformer.trainer import Trainer

TINY = NetworkConfig(width=16, heads=2, encoder_blocks=1, decoder_blocks=1, interests=2, has_tag_sequence_decoder=True)
WEEK = 7 * MICROS_PER_DAY


@pytest.fixture(scope="module")
def windows(world: Any) -> list[LabeledWindow]:
    """Return three consecutive weeks of 120 users, oldest first."""
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
def training_set_of(windows: Sequence[LabeledWindow], vocabulary: Vocabulary) -> Callable[..., TrainingSet]:
    """Return a function that makes the training set of some windows, with all users."""

    def of(some: Sequence[LabeledWindow]) -> TrainingSet:
        past = some[-1].past
        return TrainingSet.of(
            past, some, vocabulary, CrossFittedFeatures.of((), TrainingData(some, past, some[-1].cutoff)), TINY
        )

    return of


@pytest.fixture(scope="module")
def batch(training_set_of: Callable[..., TrainingSet], windows: Sequence[LabeledWindow]) -> Batch:
    training_set = training_set_of(windows[:2])
    return training_set.batch(np.flatnonzero(training_set.lengths_U() > 0)[:20])


def test_the_loss_needs_a_network_with_the_decoder(vocabulary: Vocabulary, batch: Batch) -> None:
    config = replace(TINY, has_tag_sequence_decoder=False)
    network = InterestTransformer(config, len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    with pytest.raises(ValueError, match="this network has no tag sequence decoder"):
        total_loss(network, network(batch.tokens), batch, LossWeights(sequence=0.5))


def test_a_model_has_the_decoder_if_its_loss_has_a_weight() -> None:
    assert not TransformerModel().config.has_tag_sequence_decoder
    with_weight = TransformerModel(training_config=TrainingConfig(weights=LossWeights(sequence=0.5)))
    assert with_weight.config.has_tag_sequence_decoder


def untrained(vocabulary: Vocabulary) -> InterestTransformer:
    torch.manual_seed(3)
    return InterestTransformer(TINY, len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions)).eval()


def test_a_network_that_ranks_by_the_sequence_puts_the_emitted_tags_first(vocabulary: Vocabulary, batch: Batch) -> None:
    network = untrained(vocabulary)
    assert network.tag_sequence_decoder is not None
    torch.nn.init.normal_(network.tag_sequence_decoder.tag_bias_T)  # else all tags are nearly as likely
    prior_BCT = network(batch.tokens).log_share_BCT
    network.ranks_by_tag_sequence = True
    ranked = network(batch.tokens).log_share_BCT.sort(dim=-1, descending=True)
    assert (ranked.values[..., :10].diff(dim=-1) < 0).all()
    memory_BLD = network.encode(batch.tokens)
    emitted_BCJ = ranked.indices[..., :10]
    for length in range(10):  # each tag is the best one of its step
        log_tag_BCT = network.log_tag_sequence(memory_BLD, batch.tokens, emitted_BCJ[..., :length], prior_BCT)[:, :, -1]
        left_BCT = log_tag_BCT.scatter(-1, emitted_BCJ[..., :length], -torch.inf)
        assert torch.equal(left_BCT.argmax(-1), emitted_BCJ[..., length])
        if not length:
            assert torch.allclose(ranked.values[..., 0], left_BCT.amax(-1), atol=1e-5)


def test_the_prior_of_a_sequence_is_added_in_each_step_and_gets_no_gradient(
    vocabulary: Vocabulary, batch: Batch
) -> None:
    network = untrained(vocabulary)
    output = network(batch.tokens)
    nothing_BCJ = torch.zeros(*batch.tokens.cutoff_BC.shape, 0, dtype=torch.long)
    prior_BCT = torch.zeros_like(output.log_share_BCT)
    prior_BCT[..., 3] = 50.0
    log_tag_BCJT = network.log_tag_sequence(output.memory_BLD, batch.tokens, nothing_BCJ, prior_BCT)
    assert (log_tag_BCJT.argmax(-1) == 3).all()
    network.ranks_by_tag_sequence = True
    off, on = (LossWeights(mixture=0.0, sequence=weight) for weight in (0.0, 0.5))
    gradients = []
    for weights in (off, on):
        torch.manual_seed(3)  # of the dropout
        network.train().zero_grad()
        total_loss(network, network(batch.tokens), batch, weights).backward()  # type: ignore[no-untyped-call]
        assert network.mixture_head.explore.grad is not None
        gradients.append(float(network.mixture_head.explore.grad))
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-4)


def test_ranking_by_the_sequence_needs_its_decoder() -> None:
    with pytest.raises(ValueError, match="needs has_tag_sequence_decoder"):
        replace(TINY, has_tag_sequence_decoder=False, ranks_by_tag_sequence=True)
    assert TAG_SEQUENCE_TRANSFORMER.config.ranks_by_tag_sequence
    assert not WEEKLY_TRANSFORMER.config.ranks_by_tag_sequence


def test_the_loss_of_a_tag_is_given_the_tags_of_more_touches(vocabulary: Vocabulary, batch: Batch) -> None:
    """The loss equals that of a loop over users and cutoffs that feeds the decoder one true tag after another."""
    network = untrained(vocabulary)
    memory_BLD = network.encode(batch.tokens)
    losses = []
    for user, cutoff in torch.nonzero(batch.has_labels_BC).tolist():
        touches = batch.touches_BCT[user, cutoff].tolist()
        tags = sorted((tag for tag, count in enumerate(touches) if count), key=lambda tag: (-touches[tag], tag))[:5]
        for length, tag in enumerate(tags):
            emitted = torch.zeros(*batch.tokens.cutoff_BC.shape, length, dtype=torch.long)
            emitted[user, cutoff] = torch.tensor(tags[:length], dtype=torch.long)
            log_tag_BCJT = network.log_tag_sequence(memory_BLD, batch.tokens, emitted)
            losses.append(-float(log_tag_BCJT[user, cutoff, -1, tag]))
    assert float(sequence_loss(network, memory_BLD, batch)) == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_weight_scales_the_loss_which_is_0_without_labels(vocabulary: Vocabulary, batch: Batch) -> None:
    network = untrained(vocabulary)
    output = network(batch.tokens)
    off, on = (total_loss(network, output, batch, LossWeights(sequence=weight)) for weight in (0.0, 0.5))
    alone = sequence_loss(network, output.memory_BLD, batch)
    assert float(on - off) == pytest.approx(0.5 * float(alone), rel=1e-4)
    unlabeled = replace(batch, has_labels_BC=torch.zeros_like(batch.has_labels_BC))
    assert float(sequence_loss(network, output.memory_BLD, unlabeled)) == 0.0


def test_without_a_weight_the_decoder_gets_no_gradient(vocabulary: Vocabulary, batch: Batch) -> None:
    network = untrained(vocabulary)
    assert network.tag_sequence_decoder is not None
    for weight, has_gradient in ((0.0, False), (0.5, True)):
        network.zero_grad()
        total_loss(network, network(batch.tokens), batch, LossWeights(sequence=weight)).backward()  # type: ignore[no-untyped-call]
        assert (network.tag_sequence_decoder.first_D.grad is not None) == has_gradient


def test_a_short_training_raises_the_hit_rate_of_emitted_tags(
    training_set_of: Callable[..., TrainingSet], windows: Sequence[LabeledWindow], vocabulary: Vocabulary
) -> None:
    """The hit rate is that of the week after the training windows."""
    config = TrainingConfig(
        epochs=8, tokens_per_batch=2048, learning_rate=1e-2, warmup_steps=5, weights=LossWeights(sequence=1.0)
    )
    trained = Trainer(untrained(vocabulary), [training_set_of(windows[:2])], config).run().eval()
    later = training_set_of(windows[2:])
    labeled = later.batch(np.flatnonzero(later.lengths_U() > 0))

    def hit_rate(network: InterestTransformer) -> float:
        emitted_BCJ = network.emit_tags(labeled.tokens, 5)
        assert all(len(set(emitted)) == 5 for emitted in emitted_BCJ[:, 0].tolist())
        return float((labeled.touches_BCT.gather(2, emitted_BCJ) > 0)[labeled.has_labels_BC].float().mean())

    before, after = hit_rate(untrained(vocabulary)), hit_rate(trained)
    assert after > 1.5 * before
