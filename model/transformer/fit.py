"""The training of one network from end to end: convex fits, steps, a convex fit again.

The Transformer before the referee: trained on the windows that ended by the cut, beside its paths.

Shape letters: U users, B users of a batch, T tags asked about, V tags of the vocabulary.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from model.baselines.next_tag import NextTagByTransition
from model.baselines.simple import OwnCounts
from model.baselines.transition import Bag, TransitionSettings
from model.boosting.ranker import BoostedRanking, LambdaMart
from model.data.arrays import Floats
from model.data.history import History
from model.data.users import lowest_hash_users_U
from model.interfaces import CurvePoint, Model, TrainingData
from model.transformer.config import SIZES, LossWeights, NetworkConfig, TrainingConfig
from model.transformer.dataset import InferenceSet, TrainingSet, batches, dense_windows
from model.transformer.distributed import Runtime
from model.transformer.heads import ReturnStart
from model.transformer.network import InterestTransformer
from model.transformer.progress import StepCallback, no_progress
from model.transformer.stacked_features import MIN_PROBABILITY, CrossFittedFeatures, StackedFeatures, fit_stacked_models
from model.transformer.tokens import Vocabulary
from model.transformer.trainer import Trainer
from model.transformer.warm_start import fit_of_affinity, fit_of_paths, fit_of_return
from model.transformer.workdir import IN_MEMORY, WorkDir


@dataclass(frozen=True)
class WarmStart:
    """The fits with which networks of any seed begin."""

    weight_P: Tensor | None  # None where there is no path
    returning: ReturnStart

    @classmethod
    def of(cls, window: TrainingSet, weights: LossWeights) -> "WarmStart":
        has_paths = window.stacked_UCTP.shape[-1] > 0
        return cls(fit_of_paths(window, weights) if has_paths else None, fit_of_return(window))


def train_network(
    windows: Sequence[TrainingSet],
    start: WarmStart,
    vocabulary: Vocabulary,
    size: NetworkConfig,
    recipe: TrainingConfig,
    told: StepCallback,
    checkpoint: Path | None = None,
) -> tuple[InterestTransformer, Sequence[CurvePoint]]:
    """Return the trained network and its curve; the newest of the windows tells it how sure to be.

    checkpoint: see `Trainer.run`.

    Raises ValueError if there is nothing to learn from.
    """
    torch.manual_seed(recipe.seed)
    known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    network = InterestTransformer(size, *known, paths=windows[-1].stacked_UCTP.shape[-1])
    if start.weight_P is not None:
        network.start_from(start.weight_P)
    network.returning.start_from(start.returning)
    trainer = Trainer(network, windows, recipe, machine=Runtime.found())
    network = trainer.run(told, checkpoint)
    network.affinity_scale.start_from(fit_of_affinity(network, windows[-1]))
    return network, trainer.curves


TOKENS_AT_ONCE = 16_384  # when nothing is learnt
# That paths say of the users from whom a network learns, 4 bytes each. Where many tags are asked about at many cuts,
# fewer users teach it; what the paths learn from is all of them.
MOST_NUMBERS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class FittedTransformer:
    """A Ranker: the mean probability of some networks."""

    networks: tuple[InterestTransformer, ...]
    vocabulary: Vocabulary
    paths: StackedFeatures
    size: NetworkConfig
    cutoff: int  # moment
    curves: tuple[Sequence[CurvePoint], ...] = ()  # how each network was trained, where that was kept

    @torch.no_grad()
    def scores_UT(self, past: History) -> Floats:
        """Return the probability that the user touches the tag in the window; next to nothing for an unknown tag."""
        asked = InferenceSet.of(past, self.cutoff, self.vocabulary, self.paths, self.size)
        scores_UV = np.full((past.users, len(self.vocabulary.tags)), MIN_PROBABILITY)
        for user_B in batches(asked.lengths_U(), TOKENS_AT_ONCE):
            batch, stacked_BCTP = asked.batch(user_B)
            told = [torch.sigmoid(network(batch, stacked_BCTP).affinity_BCT[:, 0]) for network in self.networks]
            scores_UV[user_B] = torch.stack(told).mean(0).numpy()
        code_T = self.vocabulary.tag_codes(past.tag_T)
        with_unknown = np.column_stack([np.full(past.users, MIN_PROBABILITY), scores_UV])
        return with_unknown[:, code_T]


@dataclass(frozen=True)
class TransformerModel(Model):
    """A Contestant: so many networks of one size, each from another seed, beside the same paths."""

    name: ClassVar[str] = "transformer"
    predicts_probabilities: ClassVar[bool] = True
    size: str = "laptop"
    networks: int = 1
    cutoffs_per_window: int = 1  # at how many moments in the length of a window a user is asked in training
    recipe: TrainingConfig = field(default_factory=TrainingConfig)
    paths: tuple[Model, ...] = ()
    watch: StepCallback = field(default=no_progress, compare=False)  # is told of every step of a training
    workdir: WorkDir = field(default=IN_MEMORY, compare=False)  # a training that is killed goes on from there

    def settings(self) -> Mapping[str, Any]:
        paths = [{"name": path.name, **path.settings()} for path in self.paths]
        return {
            "size": {"name": self.size, **asdict(SIZES[self.size])},
            "networks": self.networks,
            "cutoffs_per_window": self.cutoffs_per_window,
            "recipe": self.recipe.as_json(),
            "paths": paths,
        }

    def __getstate__(self) -> Mapping[str, Any]:
        return {**self.__dict__, "watch": no_progress}  # who watches stays in this process

    def for_leakage_check(self) -> "TransformerModel":
        """Return one network of one epoch: all paths, windows and cuts are laid out and read as for the whole one."""
        paths = tuple(path.for_leakage_check() for path in self.paths)
        return replace(self, networks=1, recipe=replace(self.recipe, epochs=1), paths=paths)

    def fit(self, data: TrainingData) -> FittedTransformer:
        """Train on the windows of `data` and on those between them.

        Raises ValueError if there is no window to learn from.
        """
        past = data.past
        size, vocabulary = SIZES[self.size], Vocabulary.of(past)
        windows = dense_windows(data.windows, past, self.cutoffs_per_window)
        crossed = CrossFittedFeatures.of(self.paths, data)
        read = past
        most_users = MOST_NUMBERS // (len(windows) * len(vocabulary.tags) * max(1, crossed.numbers))
        if past.users > most_users:
            read = past.of_users(lowest_hash_users_U(past.user_id_U, most_users))
            windows = [one.of_users(np.isin(one.past.user_id_U, read.user_id_U)) for one in windows]
        workdir = self.workdir.part(f"{data.cutoff}-{self._digest()}")
        window = TrainingSet.of(read, windows, vocabulary, crossed, size, workdir)
        start = WarmStart.of(window, self.recipe.weights)
        recipes = [replace(self.recipe, seed=self.recipe.seed + number) for number in range(self.networks)]
        trained = [
            train_network(
                [window], start, vocabulary, size, recipe, self.watch, workdir.file(f"network-{recipe.seed}.pt")
            )
            for recipe in recipes
        ]
        networks, curves = zip(*trained, strict=True)
        paths = fit_stacked_models(self.paths, data)
        return FittedTransformer(networks, vocabulary, paths, size, data.cutoff, curves)

    def _digest(self) -> str:
        """Name what this contestant trains, so that another one does not go on from it."""
        return sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:16]


WEEKLY_TRANSFORMER = TransformerModel(
    size="laptop",
    networks=1,
    cutoffs_per_window=7,
    paths=(
        OwnCounts(is_tuned=True),
        BoostedRanking(
            LambdaMart(trees=100, depth=3, learning_rate=0.1, least_weight_in_leaf=20.0, pair_method="mean", pairs=4)
        ),
        NextTagByTransition(TransitionSettings(bags=(Bag(0.98, 200),), ridge=1000.0)),
    ),
)
