"""The Transformer as a `Model`: fitted to the windows that ended by a cutoff, with stacked features of other models.

`train_network` trains one network: convex fits, steps, a convex fit again. `TransformerModel.fit` prepares the training
set and trains one or several networks of different seeds. `FittedTransformer` scores by their mean probability.

Shape letters: U users, B users of a batch, T tags of a history, V tags of the vocabulary.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch

from model.baselines.next_tag import NextTagByTransition
from model.baselines.simple import OwnCounts
from model.baselines.transition import Bag, TransitionSettings
from model.boosting.ranker import BoostedRanking, LambdaMart
from model.data.arrays import Floats
from model.data.history import History
from model.data.users import lowest_hash_users_U
from model.interfaces import CurvePoint, Model, TrainingData
from model.transformer.checkpoint import Checkpoint
from model.transformer.config import SIZES, LossWeights, NetworkConfig, TrainingConfig
from model.transformer.dataset import (
    INFERENCE_TOKENS_PER_BATCH,
    InferenceSet,
    TrainingSet,
    batch_by_length,
    dense_windows,
)
from model.transformer.distributed import Runtime
from model.transformer.network import InterestTransformer
from model.transformer.progress import StepCallback, no_progress
from model.transformer.stacked_features import MIN_PROBABILITY, CrossFittedFeatures, StackedFeatures, fit_stacked_models
from model.transformer.tensors import to_device
from model.transformer.tokens import Vocabulary
from model.transformer.trainer import Trainer
from model.transformer.warm_start import WarmStart, fit_affinity_scale
from model.transformer.workdir import IN_MEMORY, WorkDir

INTERESTS, SEQUENCE = "interests", "sequence"
# Stacked features in a training set, 4 bytes each. Above it the network is trained on fewer users; the stacked models
# are fitted to all of them.
MAX_FEATURES = 1_000_000_000


def train_network(
    sets: Sequence[TrainingSet],
    start: WarmStart,
    vocabulary: Vocabulary,
    config: NetworkConfig,
    training_config: TrainingConfig,
    on_step: StepCallback,
    checkpoint: Checkpoint | None = None,
) -> tuple[InterestTransformer, Sequence[CurvePoint]]:
    """Return the trained network and its loss curve. The affinity scale is fitted to the last training set.

    checkpoint: see `Trainer.run`.
    Raises ValueError if there is no training set.
    """
    torch.manual_seed(training_config.seed)
    names = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    network = InterestTransformer(config, *names, features=sets[-1].stacked_UCTP.shape[-1])
    if start.weight_P is not None:
        network.initialize_mixture(start.weight_P)
    network.return_head.initialize(start.return_fit)
    trainer = Trainer(network, sets, training_config, Runtime.detect())
    network = trainer.run(on_step, checkpoint)
    network.affinity_scale.initialize(fit_affinity_scale(network, sets[-1]))
    return network, trainer.curve.points


@dataclass(frozen=True, eq=False)
class FittedTransformer:
    """A FittedModel: the mean probability of some networks."""

    networks: tuple[InterestTransformer, ...]
    vocabulary: Vocabulary
    features: StackedFeatures
    config: NetworkConfig
    cutoff: int  # moment
    curves: tuple[Sequence[CurvePoint], ...] = ()  # of each network

    @property
    def device(self) -> torch.device:
        """The device of its networks, which is that of their training."""
        return self.networks[0].device

    @torch.no_grad()
    def scores_UT(self, past: History) -> Floats:
        """Return the probability that the user touches the tag in the window; MIN_PROBABILITY for an unknown tag."""
        inference_set = InferenceSet.of(past, self.cutoff, self.vocabulary, self.features, self.config)
        scores_UV = np.full((past.users, len(self.vocabulary.tags)), MIN_PROBABILITY)
        for user_B in batch_by_length(inference_set.lengths_U(), INFERENCE_TOKENS_PER_BATCH):
            tokens, stacked_BCTP = inference_set.inputs(user_B)
            tokens, stacked_BCTP = to_device(tokens, self.device), stacked_BCTP.to(self.device)
            predicted = [torch.sigmoid(network(tokens, stacked_BCTP).affinity_BCT[:, 0]) for network in self.networks]
            scores_UV[user_B] = torch.stack(predicted).mean(0).cpu().numpy()
        code_T = self.vocabulary.tag_codes(past.tag_T)
        with_unknown = np.column_stack([np.full(past.users, MIN_PROBABILITY), scores_UV])
        return with_unknown[:, code_T]


@dataclass(frozen=True)
class TransformerModel(Model):
    """A Model: networks of one size and different seeds, with the same stacked features."""

    name: ClassVar[str] = "transformer"
    predicts_probabilities: ClassVar[bool] = True
    size: str = "laptop"  # of SIZES
    networks: int = 1
    cutoffs_per_window: int = 1  # training cutoffs within the length of a window; at most one a day
    training_config: TrainingConfig = field(default_factory=TrainingConfig)
    stacked_models: tuple[Model, ...] = ()
    decoder: str = INTERESTS  # or SEQUENCE: what the networks rank by
    on_step: StepCallback = field(default=no_progress, compare=False)
    workdir: WorkDir = field(default=IN_MEMORY, compare=False)  # a killed training resumes from it

    @property
    def config(self) -> NetworkConfig:
        """The network of `size`, with a tag sequence decoder if the loss has a weight for it."""
        return replace(
            SIZES[self.size],
            has_tag_sequence_decoder=self.training_config.weights.sequence > 0,
            ranks_by_tag_sequence=self.decoder == SEQUENCE,
        )

    def settings(self) -> Mapping[str, Any]:
        return {
            "size": self.size,
            "decoder": self.decoder,
            "network": asdict(self.config),
            "networks": self.networks,
            "cutoffs_per_window": self.cutoffs_per_window,
            "training": self.training_config.as_json(),
            "stacked_models": [{"name": one.name, **one.settings()} for one in self.stacked_models],
        }

    def __getstate__(self) -> Mapping[str, Any]:
        return {**self.__dict__, "on_step": no_progress}  # a callback cannot be sent to another process

    def for_leakage_check(self) -> "TransformerModel":
        """Return one network of one epoch. It reads the same stacked models, windows and cutoffs as the full model."""
        stacked_models = tuple(one.for_leakage_check() for one in self.stacked_models)
        training_config = replace(self.training_config, epochs=1)
        return replace(self, networks=1, training_config=training_config, stacked_models=stacked_models)

    def fit(self, data: TrainingData) -> FittedTransformer:
        """Train on the windows of `data` and on those between them.

        Raises ValueError if there is no window.
        """
        past, config = data.past, self.config
        vocabulary = Vocabulary.of(past)
        windows = dense_windows(data.windows, past, self.cutoffs_per_window)
        crossed = CrossFittedFeatures.of(self.stacked_models, data)
        max_users = MAX_FEATURES // (len(windows) * len(vocabulary.tags) * max(1, crossed.count))
        if past.users > max_users:
            past = past.of_users(lowest_hash_users_U(past.user_id_U, max_users))
            windows = [one.of_users(np.isin(one.past.user_id_U, past.user_id_U)) for one in windows]
        workdir = self.workdir.part(f"{data.cutoff}-{self._digest()}")
        training_set = TrainingSet.of(past, windows, vocabulary, crossed, config, workdir)
        start = WarmStart.of(training_set, self.training_config.weights)
        first = self.training_config.seed
        trained = [
            train_network(
                [training_set],
                start,
                vocabulary,
                config,
                replace(self.training_config, seed=seed),
                self.on_step,
                _checkpoint(workdir, f"network-{seed}.pt"),
            )
            for seed in range(first, first + self.networks)
        ]
        networks, curves = zip(*trained, strict=True)
        features = fit_stacked_models(self.stacked_models, data)
        return FittedTransformer(networks, vocabulary, features, config, data.cutoff, curves)

    def _digest(self) -> str:
        """Return a hash of the settings, so that a training with other settings does not resume this one."""
        return sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:16]


def _checkpoint(workdir: WorkDir, name: str) -> Checkpoint | None:
    file = workdir.file(name)
    return Checkpoint(file, in_store=workdir.store / name if workdir.store else None) if file else None


WEEKLY_TRANSFORMER = TransformerModel(
    size="laptop",
    networks=1,
    cutoffs_per_window=7,
    stacked_models=(
        OwnCounts(is_tuned=True),
        BoostedRanking(
            LambdaMart(trees=100, depth=3, learning_rate=0.1, least_weight_in_leaf=20.0, pair_method="mean", pairs=4)
        ),
        NextTagByTransition(TransitionSettings(bags=(Bag(0.98, 200),), ridge=1000.0)),
    ),
)
# Tags are emitted one by one; each step begins with the ranking of the weekly one.
TAG_SEQUENCE_TRANSFORMER = replace(
    WEEKLY_TRANSFORMER, decoder=SEQUENCE, training_config=TrainingConfig(weights=LossWeights(sequence=0.5))
)
DECODERS = MappingProxyType({INTERESTS: WEEKLY_TRANSFORMER, SEQUENCE: TAG_SEQUENCE_TRANSFORMER})
