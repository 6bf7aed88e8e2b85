"""A Transformer's training on the planted world, with its parts: training data, stacked features, network.

Shape letters: U users, T tags, P stacked features.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from model.data.arrays import Floats
from model.data.cutoffs import Cutoffs
from model.data.days import end_of_day
from model.data.folds import Histories, TrainingWindows
from model.data.history import History
from model.data.labels import LabeledWindow, label_window_between
from model.evaluation.holdout import TestSet
from model.interfaces import Model, TrainingData
from model.transformer.config import NetworkConfig, TrainingConfig
from model.transformer.dataset import TrainingSet, dense_windows
from model.transformer.fit import FittedTransformer, train_network
from model.transformer.network import InterestTransformer
from model.transformer.progress import StepCallback
from model.transformer.stacked_features import CrossFittedFeatures, StackedFeatures, fit_stacked_models
from model.transformer.tokens import Vocabulary
from model.transformer.warm_start import WarmStart, fit_feature_weights
from tests.bench.perturbed_histories import last_sessions

Read = list[tuple[History, list[LabeledWindow]]]  # a history, and the labels that one pass over it predicts


@dataclass(frozen=True, eq=False)
class PlantedTraining:
    """The training data at the test cutoff, the same as in `TransformerModel.fit`, before the first step."""

    windows: Sequence[TrainingSet]
    vocabulary: Vocabulary
    features: StackedFeatures
    config: NetworkConfig
    cutoff: int  # moment
    seconds: float  # to prepare it, stacked features included
    processor_seconds: float  # of these

    @classmethod
    def of(
        cls,
        known: Histories,
        split: Cutoffs,
        test_set: TestSet,
        models: Sequence[Model],
        cutoffs_per_window: int,
        config: NetworkConfig,
    ) -> "PlantedTraining":
        past, train = test_set.all_users, TrainingWindows(known, split).by(known, split.test)

        def read() -> Read:
            return [(past, dense_windows(train, past, cutoffs_per_window))]

        return cls._prepared(models, train, past, read, Vocabulary.of(past), config, test_set.moment)

    @classmethod
    def of_last_sessions(
        cls,
        known: Histories,
        split: Cutoffs,
        test_set: TestSet,
        models: Sequence[Model],
        cutoffs_per_window: int,
        config: NetworkConfig,
    ) -> "PlantedTraining":
        """The network and its stacked features read only each user's newest session before each cutoff."""
        past = test_set.all_users
        short = [
            label_window_between(
                last_sessions(known[day], 1), known[split.end_of(day)], end_of_day(day), end_of_day(split.end_of(day))
            )
            for day in split.ended_by(split.test)
        ]

        def read() -> Read:
            dense = dense_windows(TrainingWindows(known, split).by(known, split.test), past, cutoffs_per_window)
            windows = [_of_last_session(past, one) for one in dense]
            return [(window.past, [window]) for window in windows]

        newest = last_sessions(past, 1)
        return cls._prepared(models, short, newest, read, Vocabulary.of(past), config, test_set.moment)

    @classmethod
    def _prepared(
        cls,
        models: Sequence[Model],
        train: Sequence[LabeledWindow],
        past: History,
        read: Callable[[], Read],
        vocabulary: Vocabulary,
        config: NetworkConfig,
        moment: int,
    ) -> "PlantedTraining":
        """train, past: data of the stacked features. read: returns the data of the network."""
        started, worked = time.perf_counter(), time.process_time()
        crossed = CrossFittedFeatures.of(models, TrainingData(train, past, moment))
        windows = [TrainingSet.of(seen, windows, vocabulary, crossed, config) for seen, windows in read()]
        features = fit_stacked_models(models, TrainingData(train, past, moment))
        took = (time.perf_counter() - started, time.process_time() - worked)
        return cls(windows, vocabulary, features, config, moment, *took)

    def trained(self, training_config: TrainingConfig, progress: StepCallback) -> tuple[InterestTransformer, float]:
        """Return the network and its training seconds, without `self.seconds`."""
        started = time.perf_counter()
        start = WarmStart.of(self.windows[-1], training_config.weights)
        network, _ = train_network(self.windows, start, self.vocabulary, self.config, training_config, progress)
        return network, time.perf_counter() - started

    def ranker(self, *networks: InterestTransformer) -> FittedTransformer:
        return FittedTransformer(networks, self.vocabulary, self.features, self.config, self.cutoff)


@dataclass(frozen=True, eq=False)
class FeaturesRanker:
    """The stacked features added up with the weights that a network starts from, without a network."""

    features: StackedFeatures
    weight_P: Floats

    @classmethod
    def of(cls, training: PlantedTraining, training_config: TrainingConfig) -> "FeaturesRanker":
        return cls(training.features, fit_feature_weights(training.windows[-1], training_config.weights).numpy())

    def scores_UT(self, past: History) -> Floats:
        return np.asarray(softmax(self.features.predicted_UTP(past) @ self.weight_P, axis=1), np.float64)


def _of_last_session(past: History, dense: LabeledWindow) -> LabeledWindow:
    return label_window_between(
        last_sessions(past.before(dense.cutoff), 1), past.before(dense.end), dense.cutoff, dense.end
    )


def perturbed(test_set: TestSet, asked: History) -> TestSet:
    """Return the same test set with other histories of the same users."""
    if not np.array_equal(test_set.past.user_id_U, asked.user_id_U) or len(asked.tag_T) != test_set.tags:
        raise ValueError("a perturbed history has other users or tags: the labels would be those of other users")
    return replace(test_set, past=asked)
