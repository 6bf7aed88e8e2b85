"""The Transformer before the referee: trained on the windows that ended by the cut, beside its paths.

Shape letters: U users, B users of a batch, T tags asked about, V tags of the vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.arrays import Floats
from model.counts.lesson import Lesson
from model.curves import CurvePoint
from model.evaluation.contestant import Contestant
from model.history import History
from model.transformer.convex import fit_of_affinity, fit_of_paths, fit_of_return
from model.transformer.dense import dense_lessons
from model.transformer.machine import Machine
from model.transformer.network import InterestTransformer
from model.transformer.paths import LEAST, CrossFittedPaths, Paths, prepare_paths
from model.transformer.progress import Told, unwatched
from model.transformer.questions import Asked, Window, batches
from model.transformer.return_head import ReturnStart
from model.transformer.size import SIZES, Size
from model.transformer.trainer import Recipe, Trainer
from model.transformer.vocabulary import Vocabulary

TOKENS_AT_ONCE = 16_384  # when nothing is learnt


@dataclass(frozen=True, eq=False)
class TransformerRanker:
    """A Ranker: the mean probability of some networks."""

    networks: tuple[InterestTransformer, ...]
    vocabulary: Vocabulary
    paths: Paths
    size: Size
    cut: int  # moment
    curves: tuple[Sequence[CurvePoint], ...] = ()  # how each network was trained, where that was kept

    @torch.no_grad()
    def strength_UT(self, past: History) -> Floats:
        """Return the probability that the user touches the tag in the window; next to nothing for an unknown tag."""
        asked = Asked.of(past, self.cut, self.vocabulary, self.paths, self.size)
        strength_UV = np.full((past.users, len(self.vocabulary.tags)), LEAST)
        for user_B in batches(asked.lengths_U(), TOKENS_AT_ONCE):
            batch, path_BCTP = asked.batch(user_B)
            told = [torch.sigmoid(network(batch, path_BCTP).affinity_BCT[:, 0]) for network in self.networks]
            strength_UV[user_B] = torch.stack(told).mean(0).numpy()
        code_T = self.vocabulary.tag_codes(past.tag_T)
        with_unknown = np.column_stack([np.full(past.users, LEAST), strength_UV])
        return with_unknown[:, code_T]


@dataclass(frozen=True)
class TransformerContestant:
    """A Contestant: so many networks of one size, each from another seed, beside the same paths."""

    size: str = "laptop"
    networks: int = 1
    cuts_a_window: int = 1  # at how many moments in the length of a window a user is asked in training
    recipe: Recipe = field(default_factory=Recipe)
    paths: tuple[Contestant, ...] = ()
    watch: Told = field(default=unwatched, compare=False)  # is told of every step of a training

    @property
    def name(self) -> str:
        return "transformer"

    @property
    def states_probabilities(self) -> bool:
        return True

    def settings(self) -> Mapping[str, Any]:
        paths = [{"name": path.name, **path.settings()} for path in self.paths]
        return {
            "size": {"name": self.size, **asdict(SIZES[self.size])},
            "networks": self.networks,
            "cuts_a_window": self.cuts_a_window,
            "recipe": self.recipe.as_json(),
            "paths": paths,
        }

    def for_the_guard(self) -> "TransformerContestant":
        """Return one network of one epoch: all paths, windows and cuts are laid out and read as for the whole one."""
        return replace(self, networks=1, recipe=replace(self.recipe, epochs=1))

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> TransformerRanker:
        """Train on the windows of `taught` and on those between them.

        Raises ValueError if there is no window to learn from.
        """
        size, vocabulary = SIZES[self.size], Vocabulary.of(past)
        lessons = dense_lessons(taught, past, self.cuts_a_window)
        crossed = CrossFittedPaths.of(self.paths, taught, past, cut)
        window = Window.of(past, lessons, vocabulary, crossed, size)
        weight_P = fit_of_paths(window, self.recipe.weights) if self.paths else None
        returning = fit_of_return(window)
        trainers = [
            _trainer(
                size, vocabulary, window, replace(self.recipe, seed=self.recipe.seed + number), weight_P, returning
            )
            for number in range(self.networks)
        ]
        networks = tuple(trainer.run(self.watch) for trainer in trainers)
        for network in networks:
            network.affinity_scale.start_from(fit_of_affinity(network, window))
        paths = prepare_paths(self.paths, taught, past, cut)
        return TransformerRanker(networks, vocabulary, paths, size, cut, tuple(one.curves for one in trainers))


def _trainer(
    size: Size,
    vocabulary: Vocabulary,
    window: Window,
    recipe: Recipe,
    weight_P: Tensor | None,
    returning: ReturnStart,
) -> Trainer:
    torch.manual_seed(recipe.seed)
    known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    network = InterestTransformer(size, *known, paths=window.path_UCTP.shape[-1])
    if weight_P is not None:
        network.start_from(weight_P)
    network.returning.start_from(returning)
    return Trainer(network, [window], recipe, machine=Machine.found())
